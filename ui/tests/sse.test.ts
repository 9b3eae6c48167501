import { expect, test } from "vitest";

import { doubles } from "../src/lib/columns";
import { Parser } from "../src/lib/sse";

test("messages come whole, however the stream is cut", () => {
  const stream = ": alive\n\nevent: cycle\ndata: {\"a\":1}\n\nevent: status\ndata: x\ndata: y\n\n";
  for (let size = 1; size <= stream.length; size++) {
    const parser = new Parser();
    const found = [];
    for (let at = 0; at < stream.length; at += size) found.push(...parser.feed(stream.slice(at, at + size)));
    expect(found).toEqual([{ event: "cycle", data: '{"a":1}' }, { event: "status", data: "x\ny" }]);
  }
});

test("columns are little-endian doubles", () => {
  expect([...doubles("AAAAAAAA+D8AAAAAAAAEwA==")]).toEqual([1.5, -2.5]);
});
