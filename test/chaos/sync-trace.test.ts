import { describe, expect, test } from "vitest";
import { readSyncTrace } from "./sync-trace.ts";

const file = "8</data/appendonlydir/appendonly.aof.1.incr.aof>";

describe("what is on the disk", () => {
  test("with a sync after each write it is all that was written", () => {
    const trace = [
      `31580 write(${file}, ""..., 50) = 50`,
      `31580 fdatasync(${file}) = 0`,
      `31580 write(${file}, ""..., 27) = 27`,
      `31580 fdatasync(${file})  = 0`,
      "31580 +++ killed by SIGKILL +++",
    ];
    expect(readSyncTrace(trace.join("\n"))).toEqual({ writtenBytes: 77, syncedBytes: 77 });
  });

  test("what was written after the last sync is not", () => {
    const trace = [`1 write(${file}, ""..., 50) = 50`, `1 fdatasync(${file}) = 0`, `1 write(${file}, ""..., 27) = 27`];
    expect(readSyncTrace(trace.join("\n"))).toEqual({ writtenBytes: 77, syncedBytes: 50 });
  });

  test("a sync of another thread covers what was written when it began, and only once it has ended", () => {
    const trace = [
      `1 write(${file}, ""..., 50) = 50`,
      `2 fdatasync(${file} <unfinished ...>`,
      `1 write(${file}, ""..., 27) = 27`,
    ];
    expect(readSyncTrace(trace.join("\n"))).toEqual({ writtenBytes: 77, syncedBytes: 0 });
    trace.push("2 <... fdatasync resumed>)             = 0");
    expect(readSyncTrace(trace.join("\n"))).toEqual({ writtenBytes: 77, syncedBytes: 50 });
  });

  test("a sync that failed covers nothing, and a write that failed or was cut off counts for nothing", () => {
    const trace = [
      `1 write(${file}, ""..., 50) = 50`,
      `1 fdatasync(${file}) = -1 EIO (Input/output error)`,
      `1 write(${file}, ""..., 9) = -1 ENOSPC (No space left on device)`,
      `1 write(${file}, ""..., 9 <unfinished ...>`,
    ];
    expect(readSyncTrace(trace.join("\n"))).toEqual({ writtenBytes: 50, syncedBytes: 0 });
  });

  test("a write that was interleaved counts when it has ended", () => {
    const trace = [
      `1 write(${file}, ""..., 50 <unfinished ...>`,
      "1 <... write resumed>) = 50",
      `1 fdatasync(${file}) = 0`,
    ];
    expect(readSyncTrace(trace.join("\n"))).toEqual({ writtenBytes: 50, syncedBytes: 50 });
  });
});
