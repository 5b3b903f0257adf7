import { schemaIssues } from "@flotilla/workflow";
import type { z } from "zod";
import { invalidBody } from "./problem.ts";

/** The value as the schema gives it. Throws the problem `invalid-body` with all that is wrong, at pointers below `at`. */
export function parse<S extends z.ZodType>(schema: S, value: unknown, at = ""): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalidBody(schemaIssues(parsed.error, at));
}
