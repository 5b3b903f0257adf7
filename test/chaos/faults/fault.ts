import type { Random } from "../random.ts";

/** Something that goes wrong, and is over when `inject` resolves. */
export interface Fault {
  readonly name: string;
  /** Who was hit; undefined when nobody could be, for lack of a process that runs. */
  inject(random: Random): Promise<string | undefined>;
}
