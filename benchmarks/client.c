/* libmodbus reading the same blocks and decoding the same points as our client.
 *
 *     client HOST PORT TIMES < plan
 *
 * The plan has one line `block ADDRESS COUNT` a read and one line `point ADDRESS TYPE GAIN` a point
 * (u16 i16 u32 i32 f32, most significant word first). Prints one line
 * `points P times N cpu_us_per_point X sum S`; CPU is user + system, after a short warm-up; S is the sum of the
 * values of the last reading.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <modbus.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { MOST = 4096, WARM_UP = 20 };

static const char *const type_names[] = {"u16", "i16", "u32", "i32", "f32"};
enum { U16, I16, U32, I32, F32, TYPES };

static struct { int address, count; } blocks[MOST];
static struct { int address, type; double gain; } points[MOST];
static int block_count, point_count;
static uint16_t registers[65536];
static double values[MOST];

static void read_plan(void)
{
    char line[128], type[8];
    while (fgets(line, sizeof line, stdin) && block_count < MOST && point_count < MOST) {
        int address, count;
        double gain;
        if (sscanf(line, "block %d %d", &address, &count) == 2) {
            blocks[block_count].address = address;
            blocks[block_count++].count = count;
        } else if (sscanf(line, "point %d %7s %lf", &address, type, &gain) == 3) {
            int kind = 0;
            while (kind < TYPES && strcmp(type, type_names[kind]))
                kind++;
            if (kind == TYPES) {
                fprintf(stderr, "client: unknown type %s\n", type);
                exit(2);
            }
            points[point_count].address = address;
            points[point_count].type = kind;
            points[point_count++].gain = gain;
        } else {
            fprintf(stderr, "client: not a plan: %s", line);
            exit(2);
        }
    }
}

static void read_once(modbus_t *device)
{
    for (int i = 0; i < block_count; i++) {
        int got = modbus_read_registers(device, blocks[i].address, blocks[i].count, registers + blocks[i].address);
        if (got != blocks[i].count) {
            fprintf(stderr, "client: reading fails: %s\n", modbus_strerror(errno));
            exit(1);
        }
    }
    for (int i = 0; i < point_count; i++) {
        const uint16_t *at = registers + points[i].address;
        uint32_t wide = 0;
        double raw = 0;
        if (points[i].type >= U32)
            wide = (uint32_t)at[0] << 16 | at[1];
        switch (points[i].type) {
        case U16: raw = at[0]; break;
        case I16: raw = (int16_t)at[0]; break;
        case U32: raw = wide; break;
        case I32: raw = (int32_t)wide; break;
        default: raw = modbus_get_float_abcd(at);
        }
        values[i] = raw * points[i].gain;
    }
}

static double cpu_us(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6
         + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

int main(int argc, char **argv)
{
    long times = argc == 4 ? strtol(argv[3], NULL, 10) : 0;
    if (times < 1) {
        fprintf(stderr, "client HOST PORT TIMES < plan\n");
        return 2;
    }
    read_plan();
    modbus_t *device = modbus_new_tcp(argv[1], (int)strtol(argv[2], NULL, 10));
    if (!device || !block_count || !point_count || modbus_set_slave(device, 1) || modbus_connect(device)) {
        fprintf(stderr, "client: cannot start: %s\n", modbus_strerror(errno));
        return 1;
    }
    for (int i = 0; i < WARM_UP; i++)
        read_once(device);
    double begin = cpu_us();
    for (long i = 0; i < times; i++)
        read_once(device);
    double used = cpu_us() - begin, sum = 0;
    for (int i = 0; i < point_count; i++)
        sum += values[i];
    printf("points %d times %ld cpu_us_per_point %.5f sum %.6g\n", point_count, times,
           used / (double)times / point_count, sum);
    modbus_close(device);
    modbus_free(device);
    return 0;
}
