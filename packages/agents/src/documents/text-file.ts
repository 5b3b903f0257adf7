import { closeSync, openSync, readSync } from "node:fs";

/** Files are read up to this size; what follows is not searched, and not cited. */
const maxFileBytes = 16 * 1024 * 1024;

/**
 * The text of a UTF-8 file, byte order mark included, at most its first `maxFileBytes`; undefined when it is binary:
 * when it holds a NUL or is not UTF-8. Throws what the file system throws.
 */
export function readTextFile(path: string): string | undefined {
  const { bytes, isWhole } = readBytes(path);
  if (bytes.includes(0)) return undefined;
  try {
    // Streaming lets the last character be cut in two where the file was cut.
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes, { stream: !isWhole });
  } catch {
    return undefined;
  }
}

/** The offset at which a line begins, counted from 1, or -1 when the text has no such line. */
export function lineStart(text: string, line: number): number {
  if (line < 1) return -1;
  let at = 0;
  for (let number = 1; number < line; number++) {
    const newline = text.indexOf("\n", at);
    if (newline < 0) return -1;
    at = newline + 1;
  }
  return at;
}

/** Where a line that begins at `start` ends, its line break included. */
export function lineEnd(text: string, start: number): number {
  const newline = text.indexOf("\n", start);
  return newline < 0 ? text.length : newline + 1;
}

function readBytes(path: string): { bytes: Buffer; isWhole: boolean } {
  const file = openSync(path, "r");
  try {
    const chunks: Buffer[] = [];
    let total = 0;
    for (;;) {
      const chunk = Buffer.allocUnsafe(64 * 1024);
      const length = readSync(file, chunk, 0, Math.min(chunk.length, maxFileBytes + 1 - total), null);
      if (length === 0) break;
      chunks.push(chunk.subarray(0, length));
      total += length;
      if (total > maxFileBytes) break;
    }
    const bytes = Buffer.concat(chunks);
    return { bytes: bytes.subarray(0, maxFileBytes), isWhole: total <= maxFileBytes };
  } finally {
    closeSync(file);
  }
}
