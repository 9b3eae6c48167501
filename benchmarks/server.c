/* A small Modbus TCP server for the benchmarks: one thread, epoll, any unit, functions 3, 4, 6 and 16.
 *
 *     server [--ports N] [--base PORT] [--changing] [--dead N] [--refuse N] [--babble N] [--slow N]
 *
 * Listens on N ports of 127.0.0.1, consecutive from PORT or ephemeral (PORT 0). Register N holds N; with
 * --changing it holds N plus a count of seconds, modulo 16. Requests may be pipelined.
 * The last ports misbehave, in the order of the options: `dead` accepts and never answers, `refuse` is closed,
 * `babble` answers with foreign transaction ids, with no Modbus at all, or sends without end and unasked
 * (640 bytes a second), in turn by port; `slow` answers after 2 s.
 * Prints one line `PORT KIND` a port, then `ready`. Ends when its standard input closes.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { IN_SIZE = 8192, OUT_SIZE = 65536, FRAME_MAX = 260, TICK_MS = 100, SLOW_MS = 2000, BABBLE_BYTES = 64 };

enum kind { GOOD, DEAD, REFUSE, BABBLE, SLOW, KINDS };
static const char *const kind_names[KINDS] = {"good", "dead", "refuse", "babble", "slow"};

struct socket_state {
    enum kind kind;
    int listening;
    int port_index;
    int blocked;     /* waits until the peer takes what is in `out` */
    uint64_t due;    /* slow: when the requests in `in` are answered, ms; 0: nothing waits */
    size_t in_length, out_length;
    uint8_t *in, *out;
};

static struct socket_state **states; /* by file descriptor */
static size_t states_size;
static int poller, changing, ticking;

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static void fail(const char *what)
{
    fprintf(stderr, "server: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void put16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static unsigned get16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

static void watch(int descriptor, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = descriptor};
    if (epoll_ctl(poller, operation, descriptor, &event) < 0)
        fail("epoll_ctl");
}

static struct socket_state *add_state(int descriptor, enum kind kind, int port_index)
{
    if ((size_t)descriptor >= states_size) {
        errno = EMFILE;
        fail("more descriptors than the limit announced");
    }
    struct socket_state *state = calloc(1, sizeof *state);
    if (!state)
        fail("memory");
    state->kind = kind;
    state->port_index = port_index;
    states[descriptor] = state;
    return state;
}

static void drop(int descriptor)
{
    struct socket_state *state = states[descriptor];
    states[descriptor] = NULL;
    close(descriptor);
    free(state->in);
    free(state->out);
    free(state);
}

/* Writes one reply PDU to `at` and returns its length, the unit included. */
static size_t answer(const uint8_t *frame, size_t length, uint8_t *at, unsigned shift)
{
    unsigned code = frame[7], error = 0;
    at[0] = frame[6];
    at[1] = (uint8_t)code;
    if (code != 3 && code != 4 && code != 6 && code != 16) {
        error = 1;
    } else if (length < 12) {
        error = 3;
    } else {
        unsigned address = get16(frame + 8), count = get16(frame + 10);
        if (code == 6 || code == 16) {
            memcpy(at + 2, frame + 8, 4);
            return 6;
        }
        if (count < 1 || count > 125) {
            error = 3;
        } else if (address + count > 65536) {
            error = 2;
        } else {
            at[2] = (uint8_t)(2 * count);
            for (unsigned i = 0; i < count; i++)
                put16(at + 3 + 2 * i, address + i + shift);
            return 3 + 2 * (size_t)count;
        }
    }
    at[1] = (uint8_t)(code | 0x80);
    at[2] = (uint8_t)error;
    return 3;
}

/* Answers whole requests as long as there is room. Returns 0 when the bytes are not Modbus. */
static int serve(struct socket_state *state, uint64_t now)
{
    size_t used = 0;
    unsigned shift = changing ? (unsigned)(now / 1000u) & 15u : 0;
    while (state->in_length - used >= 8 && OUT_SIZE - state->out_length >= FRAME_MAX) {
        const uint8_t *frame = state->in + used;
        size_t length = 6 + (size_t)get16(frame + 4);
        if (get16(frame + 2) != 0 || length < 8 || length > FRAME_MAX)
            return 0;
        if (state->in_length - used < length)
            break;
        uint8_t *reply = state->out + state->out_length;
        size_t size = answer(frame, length, reply + 6, shift);
        unsigned transaction = get16(frame);
        if (state->kind == BABBLE)
            transaction ^= 0x5a5a;
        put16(reply, transaction);
        put16(reply + 2, 0);
        put16(reply + 4, (unsigned)size);
        if (state->kind == BABBLE && state->port_index % 3 == 1)
            memset(reply, 0xff, size + 6);
        state->out_length += size + 6;
        used += length;
    }
    memmove(state->in, state->in + used, state->in_length - used);
    state->in_length -= used;
    return 1;
}

/* Returns 0 when the connection ended. */
static int flush(int descriptor, struct socket_state *state)
{
    size_t sent = 0;
    while (sent < state->out_length) {
        ssize_t n = send(descriptor, state->out + sent, state->out_length - sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return 0;
        if (n < 0 && errno == EAGAIN)
            break;
        sent += n > 0 ? (size_t)n : 0;
    }
    memmove(state->out, state->out + sent, state->out_length - sent);
    state->out_length -= sent;
    if (state->blocked != (state->out_length > 0)) {
        state->blocked = !state->blocked;
        watch(descriptor, EPOLL_CTL_MOD, state->blocked ? EPOLLOUT : EPOLLIN);
    }
    return 1;
}

static int serve_all(int descriptor, struct socket_state *state, uint64_t now)
{
    size_t before;
    do {
        before = state->in_length;
        if (!serve(state, now) || !flush(descriptor, state))
            return 0;
    } while (!state->blocked && state->in_length < before);
    return 1;
}

static void receive(int descriptor, struct socket_state *state, uint32_t events)
{
    uint64_t now = now_ms();
    if (events & EPOLLOUT) {
        if (!flush(descriptor, state) || (!state->blocked && !serve_all(descriptor, state, now)))
            drop(descriptor);
        return;
    }
    if (state->in_length == IN_SIZE) {
        drop(descriptor); /* more outstanding than any client of ours sends */
        return;
    }
    ssize_t n = recv(descriptor, state->in + state->in_length, IN_SIZE - state->in_length, 0);
    if (n <= 0) {
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            drop(descriptor);
        return;
    }
    state->in_length += (size_t)n;
    if (state->kind == DEAD || (state->kind == BABBLE && state->port_index % 3 == 2))
        state->in_length = 0;
    else if (state->kind == SLOW)
        state->due = state->due ? state->due : now + SLOW_MS;
    else if (!serve_all(descriptor, state, now))
        drop(descriptor);
}

static void accept_all(int descriptor, const struct socket_state *listener)
{
    int one = 1, connection;
    while ((connection = accept4(descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct socket_state *state = add_state(connection, listener->kind, listener->port_index);
        state->in = malloc(IN_SIZE);
        state->out = malloc(OUT_SIZE);
        if (!state->in || !state->out)
            fail("memory");
        setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        watch(connection, EPOLL_CTL_ADD, EPOLLIN);
    }
}

/* What happens by the clock: late answers and endless babble. */
static void tick(uint64_t now)
{
    for (size_t i = 0; i < states_size; i++) {
        struct socket_state *state = states[i];
        int alive = 1;
        if (!state || state->listening || state->blocked)
            continue;
        if (state->kind == SLOW && state->due && now >= state->due) {
            state->due = 0;
            alive = serve_all((int)i, state, now);
        } else if (state->kind == BABBLE && state->port_index % 3 == 2) {
            for (size_t k = 0; k < BABBLE_BYTES; k++)
                state->out[k] = (uint8_t)(now * 31u + k * 7u);
            state->out_length = BABBLE_BYTES;
            alive = flush((int)i, state);
        }
        if (!alive)
            drop((int)i);
    }
}

static void open_port(int index, int port, enum kind kind)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t size = sizeof address;
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0)
        fail("socket");
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0)
        fail("bind");
    if (kind != REFUSE) { /* bound and not listening: refused, and nobody else takes the port */
        if (listen(listener, 128) < 0)
            fail("listen");
        add_state(listener, kind, index)->listening = 1;
        watch(listener, EPOLL_CTL_ADD, EPOLLIN);
    }
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("%d %s\n", ntohs(address.sin_port), kind_names[kind]);
}

static int number(int argc, char **argv, int i)
{
    char *end = NULL;
    long value = i < argc ? strtol(argv[i], &end, 10) : -1;
    if (value < 0 || value > 65535 || *end) {
        fprintf(stderr, "server: %s needs a number from 0 to 65535\n", argv[i - 1]);
        exit(2);
    }
    return (int)value;
}

int main(int argc, char **argv)
{
    int ports = 1, base = 0, shares[KINDS] = {0};
    for (int i = 1; i < argc; i++) {
        int kind = DEAD;
        while (kind < KINDS && (strncmp(argv[i], "--", 2) || strcmp(argv[i] + 2, kind_names[kind])))
            kind++;
        if (kind < KINDS) {
            shares[kind] = number(argc, argv, i + 1), i++;
        } else if (!strcmp(argv[i], "--ports")) {
            ports = number(argc, argv, i + 1), i++;
        } else if (!strcmp(argv[i], "--base")) {
            base = number(argc, argv, i + 1), i++;
        } else if (!strcmp(argv[i], "--changing")) {
            changing = 1;
        } else {
            fprintf(stderr, "server: unknown option %s\n", argv[i]);
            return 2;
        }
    }
    shares[GOOD] = ports - shares[DEAD] - shares[REFUSE] - shares[BABBLE] - shares[SLOW];
    if (shares[GOOD] < 0 || (base && base + ports > 65536)) {
        fprintf(stderr, "server: more misbehaving ports than --ports, or ports beyond 65535\n");
        return 2;
    }
    ticking = shares[SLOW] + shares[BABBLE] > 0;

    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max > 65536)
        limit.rlim_max = 65536;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    states_size = limit.rlim_cur;
    states = calloc(states_size, sizeof *states);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (!states || poller < 0)
        fail("start");
    watch(STDIN_FILENO, EPOLL_CTL_ADD, EPOLLIN);

    for (int index = 0, kind = GOOD; kind < KINDS; kind++)
        for (int i = 0; i < shares[kind]; i++, index++)
            open_port(index, base ? base + index : 0, (enum kind)kind);
    puts("ready");
    fflush(stdout);

    struct epoll_event events[256];
    uint64_t next_tick = now_ms() + TICK_MS;
    for (;;) {
        int n = epoll_wait(poller, events, 256, ticking ? TICK_MS : -1);
        if (n < 0 && errno != EINTR)
            fail("epoll_wait");
        for (int i = 0; i < n; i++) {
            int descriptor = events[i].data.fd;
            if (descriptor == STDIN_FILENO) {
                char ignored[256];
                if (read(STDIN_FILENO, ignored, sizeof ignored) <= 0)
                    return 0;
            } else if (states[descriptor] && states[descriptor]->listening) {
                accept_all(descriptor, states[descriptor]);
            } else if (states[descriptor]) {
                receive(descriptor, states[descriptor], events[i].events);
            }
        }
        uint64_t now = ticking ? now_ms() : 0;
        if (ticking && now >= next_tick) {
            next_tick = now + TICK_MS;
            tick(now);
        }
    }
}
