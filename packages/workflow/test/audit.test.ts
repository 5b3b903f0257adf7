import { expect, test } from "vitest";
import { auditOf } from "../src/audit.ts";
import { EventBody } from "../src/event.ts";

const event = (type: string, data: Record<string, never> | object = {}) => ({
  workflowId: "wf_00_a",
  tenant: "acme",
  incarnation: 1,
  seq: 7,
  at: "2026-01-02T03:04:05.678Z",
  type,
  // As JSON has it.
  data: JSON.parse(JSON.stringify(data)),
});

test("who decided what, where and when is told, and nothing that anybody wrote", () => {
  const said = {
    item: "wf_00_a.5",
    decision: "edit",
    by: "0a1b2c3d",
    reason: "private",
    edit: "private",
    result: "private",
  };
  expect(auditOf(event("item.settled", said))).toEqual({
    workflowId: "wf_00_a",
    tenant: "acme",
    incarnation: 1,
    seq: 7,
    at: "2026-01-02T03:04:05.678Z",
    type: "item.settled",
    item: "wf_00_a.5",
    decision: "edit",
    by: "0a1b2c3d",
  });
  const texts = [
    event("workflow.submitted", { tenant: "acme", request: { input: "private", tags: { a: "private" } } }),
    event("signal.received", { name: "paid", data: "private", by: "0a1b2c3d" }),
    event("cancel.requested", { reason: "private" }),
    event("item.opened", { kind: "approval", summary: "private", detail: { arguments: "private" } }),
    event("workflow.failed", { error: { class: "data", code: "invalid-input", message: "private" } }),
  ].map((given) => JSON.stringify(auditOf(given)));
  expect(texts.join()).not.toContain("private");
  expect(texts.at(-1)).toContain('"error":{"class":"data","code":"invalid-input"}');
});

test("what tasks do from moment to moment is no matter of an audit, and every end of a workflow is", () => {
  const types = EventBody.options.map(({ shape }) => shape.type.value);
  const told = types.filter((type) => auditOf(event(type)) !== undefined);
  expect(told).toEqual(
    expect.arrayContaining(types.filter((type) => /^workflow\.(completed|failed|aborted|cancelled)$/.test(type))),
  );
  expect(told.filter((type) => /scheduled|started|progressed|released|retrying|task\.completed/.test(type))).toEqual(
    [],
  );
});
