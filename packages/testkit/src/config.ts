import { join } from "node:path";

/** Where tests look for a Redis, and put a fetched one: the `.flotilla` of the workspace. */
export const flotillaRoot = join(import.meta.dirname, "..", "..", "..", ".flotilla");

/** Whether tests may fetch a Redis. */
export const mayFetch = process.env["FLOTILLA_FETCH"] !== "0";
