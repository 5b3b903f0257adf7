import { execFile } from "node:child_process";
import { mkdir, mkdtemp, open, rm, rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The least that a file of a `tmpfs` grows by, in bytes. */
const page = 4096;

/** Why no disk of its own can be had for a folder on this machine; undefined where it can. */
export async function whyNoSmallDisks(): Promise<string | undefined> {
  const dir = await mkdtemp(join(tmpdir(), "flotilla-disk-"));
  try {
    await (await SmallDisk.mount(dir, 1)).unmount();
    return undefined;
  } catch {
    return "only root on Linux may mount the small disks that are to be filled";
  } finally {
    await rmdir(dir);
  }
}

/** A disk in memory, so small that it can be filled to the last byte. */
export class SmallDisk {
  readonly #dir: string;

  private constructor(dir: string) {
    this.#dir = dir;
  }

  /** Mounts one of so many megabytes on a folder, which is made if missing. */
  static async mount(dir: string, megabytes: number): Promise<SmallDisk> {
    await mkdir(dir, { recursive: true });
    await run("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", dir]);
    return new SmallDisk(dir);
  }

  /** Takes all the room that there is. */
  async fill(): Promise<void> {
    await using ballast = await open(this.#ballast, "a");
    // Large pieces first: the fewer there are, the less is written beside them meanwhile.
    for (const bytes of [256 * page, page]) {
      const piece = Buffer.alloc(bytes);
      while (await fits(ballast.write(piece))) continue;
    }
  }

  /** Gives it back. */
  async free(): Promise<void> {
    await rm(this.#ballast, { force: true });
  }

  async unmount(): Promise<void> {
    // Lazily: whoever still has a file open keeps the disk, and not this.
    await run("umount", ["--lazy", this.#dir]);
  }

  get #ballast(): string {
    return join(this.#dir, "ballast");
  }
}

async function fits(write: Promise<unknown>): Promise<boolean> {
  try {
    await write;
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOSPC") return false;
    throw error;
  }
}
