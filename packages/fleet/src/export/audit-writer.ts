import { createHash } from "node:crypto";
import { type AuditLine, type AuditLog, auditOf, type ExportedEvent, type StreamWriter } from "@flotilla/workflow";

/** The end of an audit log as that of a stream of events: it takes those that somebody may have to answer for. */
export function auditWriter(log: AuditLog): StreamWriter {
  return {
    async append(messages, signal) {
      const lines = messages.flatMap(({ value }): AuditLine[] => {
        // Made by `messageOf`.
        const event = JSON.parse(Buffer.from(value).toString()) as ExportedEvent & { at: string; incarnation: number };
        const data = auditOf(event);
        return data === undefined ? [] : [{ id: idOf(event), at: Date.parse(event.at), data }];
      });
      if (lines.length > 0) await log.write(lines, signal);
    },
  };
}

/** A UUID of what names the event for ever, as RFC 9562 makes one of a hash (version 8). */
function idOf({ workflowId, incarnation, seq }: { workflowId: string; incarnation: number; seq: number }): string {
  const hex = createHash("sha256").update(`${workflowId}/${incarnation}/${seq}`).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
