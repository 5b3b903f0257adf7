/** What a trace of a server tells about one file. */
export interface SyncTrace {
  /** Bytes written to it while it was traced. */
  writtenBytes: number;
  /** Of these, the ones that a finished `fdatasync` has put on the disk. */
  syncedBytes: number;
}

const line =
  /^(?<thread>\d+) +(?:(?<call>write|fdatasync|fsync)\(.*?|<\.\.\. (?<resumed>write|fdatasync|fsync) resumed>.*?)(?:(?<unfinished><unfinished \.\.\.>)|\) += (?<result>-?\d+).*)$/;

/**
 * Reads what `strace -f -e trace=write,fdatasync,fsync -P <file>` wrote. A sync covers what was written when it began:
 * another thread may write while it runs. A write that the end of the process cut off is not counted.
 */
export function readSyncTrace(text: string): SyncTrace {
  const coveredBy = new Map<string, number>();
  let writtenBytes = 0;
  let syncedBytes = 0;
  for (const one of text.split("\n")) {
    const { thread = "", call, resumed, unfinished, result } = line.exec(one)?.groups ?? {};
    if (call !== undefined && call !== "write") coveredBy.set(thread, writtenBytes);
    if (unfinished !== undefined || Number(result) < 0) continue;
    if ((call ?? resumed) === "write") writtenBytes += Number(result);
    else if (call !== undefined || resumed !== undefined) {
      syncedBytes = Math.max(syncedBytes, coveredBy.get(thread) ?? 0);
    }
  }
  return { writtenBytes, syncedBytes };
}
