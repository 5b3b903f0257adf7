export * from "./client.ts";
export { ProblemError, type ProblemIssue, UnreachableError } from "./errors.ts";
