import { z } from "zod";
import type { Json } from "./json.ts";

/** Most bytes of what the agents of one workflow share: all names, and the JSON of all values. */
export const maxSharedBytes = 65_536;

/** A value that the agents of a workflow share. Its version is the place of the line that set it. */
export interface SharedValue {
  readonly value: Json;
  readonly version: number;
}

/** A look at a value that the agents of a workflow share, or a change of it unless somebody else has made one since. */
export interface SharedAccess {
  /** Of the step, in the journal. */
  key: string;
  inputHash: string;
  name: string;
  change?: { version: number; value: Json };
}

/** What came of it, as the journal holds it: what stands now, and whether that is the new value. */
export const SharedRecord = z.strictObject({ isSet: z.boolean(), value: z.json(), version: z.int() });
