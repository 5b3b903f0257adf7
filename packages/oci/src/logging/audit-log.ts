import type { AuditLine, AuditLog } from "@flotilla/workflow";
import type { OciClients } from "../clients.ts";

/** Of one call, in bytes of what is told; OCI takes 1 MB an entry and some more a call. */
const maxBatchBytes = 900_000;
const maxBatchLines = 1000;

/** What Logging names as where lines come from, and of what kind they are. */
export interface AuditSource {
  source: string;
  type: string;
}

/** A log of OCI Logging. Lines of a call that is made again are there twice, under the same id. */
export function createOciAuditLog(clients: OciClients, logId: string, { source, type }: AuditSource): AuditLog {
  return {
    async write(lines, signal) {
      for (const batch of batches(lines)) {
        const entries = batch.map(({ id, at, data }) => ({ id, time: new Date(at), data: JSON.stringify(data) }));
        const defaultlogentrytime = entries[0]?.time ?? new Date(0);
        await clients.logging(
          {
            operation: "PutLogs",
            send: (client) =>
              client.putLogs({
                logId,
                putLogsDetails: {
                  specversion: "1.0",
                  logEntryBatches: [{ source, type, defaultlogentrytime, entries }],
                },
              }),
          },
          signal,
        );
      }
    },
  };
}

function* batches(lines: readonly AuditLine[]): Generator<AuditLine[]> {
  let batch: AuditLine[] = [];
  let bytes = 0;
  for (const line of lines) {
    const size = Buffer.byteLength(JSON.stringify(line.data));
    if (batch.length > 0 && (bytes + size > maxBatchBytes || batch.length === maxBatchLines)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(line);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}
