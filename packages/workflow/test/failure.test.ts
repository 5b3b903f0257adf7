import { Failure, FailureClass, isRetryable, TaskError } from "@flotilla/workflow";
import { describe, expect, test } from "vitest";

describe("a failure", () => {
  test.each([
    ["transient", true],
    ["rate-limit", true],
    ["unknown", true],
    ["data", false],
    ["critical", false],
    ["deadline", false],
    ["budget", false],
    ["poison", false],
    ["cancelled", false],
  ] as const)("of class %s is tried again: %s", (failureClass, isTriedAgain) => {
    expect(isRetryable(failureClass)).toBe(isTriedAgain);
    expect(Failure.parse({ class: failureClass, code: "c", message: "m" }).class).toBe(failureClass);
  });

  test("has one of nine classes, and no other", () => {
    expect(FailureClass.options).toHaveLength(9);
    expect(Failure.safeParse({ class: "odd", code: "c", message: "m" }).success).toBe(false);
  });

  test.each(["class", "code", "message"])("says its %s", (field) => {
    const whole: Record<string, unknown> = { class: "data", code: "c", message: "m" };
    delete whole[field];
    expect(Failure.safeParse(whole).success).toBe(false);
  });

  test("that is thrown keeps its cause, and is told by its name and its message", () => {
    const cause = new Error("deeper");
    const error = new TaskError({ class: "data", code: "c", message: "what is wrong" }, { cause });
    expect(error).toMatchObject({ name: "TaskError", message: "what is wrong", cause, failure: { code: "c" } });
  });
});
