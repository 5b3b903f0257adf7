import type { AuditLine, AuditLog, StreamMessage, StreamWriter } from "@flotilla/workflow";
import { beforeEach, expect, test } from "vitest";
import { exportTo } from "../src/index.ts";
import { messageOf } from "../src/export/event-message.ts";

class MemoryStream implements StreamWriter {
  readonly messages: StreamMessage[] = [];
  isAway = false;

  async append(messages: readonly StreamMessage[]): Promise<void> {
    if (this.isAway) throw new Error("the stream is away");
    this.messages.push(...messages);
  }
}

class MemoryLog implements AuditLog {
  readonly lines: AuditLine[] = [];
  isAway = false;

  async write(lines: readonly AuditLine[]): Promise<void> {
    if (this.isAway) throw new Error("the log is away");
    this.lines.push(...lines);
  }
}

const message = (seq: number, type: string, incarnation = 1) =>
  messageOf({ id: "wf_00_a", tenant: "acme", incarnation }, { seq, at: seq, text: JSON.stringify({ type, data: {} }) });

let stream: MemoryStream;
let auditLog: MemoryLog;
beforeEach(() => {
  stream = new MemoryStream();
  auditLog = new MemoryLog();
});

test("without a stream and a log there is nothing to export to", () => {
  expect(exportTo({})).toBeUndefined();
  expect(exportTo({ stream })).toBe(stream);
});

test("an audit log is given what somebody may have to answer for, under an id that stays the same", async () => {
  const given = [message(1, "workflow.submitted"), message(2, "task.started"), message(3, "workflow.completed")];
  await exportTo({ auditLog })?.append(given);
  await exportTo({ auditLog })?.append(given);
  await exportTo({ auditLog })?.append([message(3, "workflow.completed", 2)]);
  expect(auditLog.lines.map(({ at }) => at)).toEqual([1, 3, 1, 3, 3]);
  const ids = auditLog.lines.map(({ id }) => id);
  expect(ids.slice(0, 2)).toEqual(ids.slice(2, 4));
  // Put back from the archive, another line may have that place.
  expect(new Set(ids).size).toBe(3);
  expect(ids[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/);
});

test("while one is away the other is given nothing twice, and nothing is missing in either when it is back", async () => {
  const events = exportTo({ stream, auditLog });
  auditLog.isAway = true;
  const first = [message(1, "workflow.submitted")];
  for (let round = 0; round < 3; round++) await expect(events?.append(first)).rejects.toThrow("away");
  const both = [...first, message(2, "workflow.completed")];
  await expect(events?.append(both)).rejects.toThrow("the log is away");
  auditLog.isAway = false;
  await events?.append(both);
  expect(stream.messages).toEqual(both);
  expect(auditLog.lines.map(({ at }) => at)).toEqual([1, 2]);

  stream.isAway = true;
  const last = [message(3, "retry.requested")];
  await expect(events?.append(last)).rejects.toThrow("the stream is away");
  stream.isAway = false;
  await events?.append(last);
  expect(stream.messages).toHaveLength(3);
  expect(auditLog.lines).toHaveLength(3);
});
