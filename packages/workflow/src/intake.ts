import { z } from "zod";

/** A message of an intake that is no workflow and never will be, and why. */
export const DeadLetter = z.object({
  stream: z.string(),
  partition: z.int(),
  offset: z.int(),
  tenant: z.string(),
  at: z.iso.datetime().meta({ description: "when it was refused" }),
  code: z.string().meta({ description: "the code that the API answers to such a request" }),
  detail: z.string(),
  errors: z.array(z.object({ path: z.string(), code: z.string(), message: z.string() })),
  bytes: z.int(),
  text: z.string().meta({ description: "how the message begins" }),
});
export type DeadLetter = z.infer<typeof DeadLetter>;

/** Where messages are noted that an intake refuses. */
export interface DeadLetters {
  /** Notes one; saying it again changes nothing. Of very many the oldest are dropped. */
  add(letter: DeadLetter): Promise<void>;
  /** The newest first. */
  list(limit: number): Promise<DeadLetter[]>;
}
