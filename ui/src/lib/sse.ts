/** Server-sent events over `fetch`, which, unlike `EventSource`, tells a refusal and shows every sign of life. */
export interface Message {
  event: string;
  data: string;
}

/** Takes pieces of the stream as they come; gives whole messages. Comments give none. */
export class Parser {
  private rest = "";

  feed(piece: string): Message[] {
    const blocks = (this.rest + piece).split(/\r?\n\r?\n/);
    this.rest = blocks.pop() ?? "";
    return blocks.map(parse).filter((message) => message !== null);
  }
}

function parse(block: string): Message | null {
  let event = "message";
  const data: string[] = [];
  for (const line of block.split(/\r?\n/)) {
    if (line.startsWith("event:")) event = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
  }
  return data.length ? { event, data: data.join("\n") } : null;
}
