/** Cuts a stream into pieces of that size; only the last may be smaller. The bytes of a piece change with the next one. */
export async function* inParts(
  content: Uint8Array | AsyncIterable<Uint8Array>,
  bytes: number,
): AsyncGenerator<Uint8Array> {
  // One buffer for all: to gather chunks and join them would hold each part twice.
  const part = Buffer.allocUnsafe(content instanceof Uint8Array ? Math.min(bytes, content.byteLength) : bytes);
  let filled = 0;
  for await (const chunk of content instanceof Uint8Array ? [content] : content) {
    for (let taken = 0; taken < chunk.byteLength;) {
      if (filled === bytes) {
        yield part;
        filled = 0;
      }
      const count = Math.min(bytes - filled, chunk.byteLength - taken);
      part.set(chunk.subarray(taken, taken + count), filled);
      filled += count;
      taken += count;
    }
  }
  yield part.subarray(0, filled);
}
