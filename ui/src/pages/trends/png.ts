/** The chart as a picture: what the canvas shows, with a title above and the legend below, in the theme's colours. */
import type { Look } from "./look";

export interface Entry extends Look {
  text: string;
}

export interface Paper {
  title: string;
  subtitle: string;
  colours: { page: string; text: string; soft: string };
}

export async function picture(chart: HTMLCanvasElement, entries: readonly Entry[], paper: Paper): Promise<Blob> {
  const dense = devicePixelRatio || 1;
  const line = 22 * dense;
  const edge = 16 * dense;
  const canvas = document.createElement("canvas");
  canvas.width = chart.width + 2 * edge;
  canvas.height = chart.height + edge * 2 + line * (2.5 + entries.length + 0.5);
  const pen = canvas.getContext("2d")!;
  const write = (text: string, x: number, y: number, size: number, colour: string, weight = ""): void => {
    pen.font = `${weight} ${size * dense}px system-ui, sans-serif`;
    pen.fillStyle = colour;
    pen.fillText(text, x, y, canvas.width - x - edge);
  };
  pen.fillStyle = paper.colours.page;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.textBaseline = "middle";
  write(paper.title, edge, edge + line / 2, 18, paper.colours.text, "600");
  write(paper.subtitle, edge, edge + line * 1.6, 13, paper.colours.soft);
  const top = edge + line * 2.5;
  pen.drawImage(chart, edge, top);
  entries.forEach((entry, i) => {
    const y = top + chart.height + line * (i + 0.8);
    pen.strokeStyle = entry.colour;
    pen.lineWidth = 3 * dense;
    pen.setLineDash(entry.dash.map((one) => one * dense));
    pen.beginPath();
    pen.moveTo(edge, y);
    pen.lineTo(edge + 40 * dense, y);
    pen.stroke();
    write(entry.text, edge + 50 * dense, y, 14, paper.colours.text);
  });
  return new Promise((done, fail) =>
    canvas.toBlob((blob) => (blob ? done(blob) : fail(new Error("the browser made no picture"))), "image/png"),
  );
}

export function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
