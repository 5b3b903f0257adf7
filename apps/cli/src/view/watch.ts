import type { EventView } from "@flotilla/workflow";
import { createLogUpdate } from "log-update";
import type { Terminal } from "../terminal.ts";
import { renderLive, seconds } from "./live.ts";
import { ProgressTracker } from "./progress.ts";

/** Shows a workflow while it runs. */
export interface Watch {
  event(event: EventView): void;
  /** What tasks wait for now, by their ids. */
  waits(words: ReadonlyMap<string, string>): void;
  /** Leaves the last state standing. */
  end(): void;
}

const frameMs = 100;

/** JSON lines on stdout; else a live view on stderr, or plain lines where that is no terminal. */
export function watch(terminal: Terminal): Watch {
  if (terminal.json) return { event: (event) => terminal.emit(event), waits: () => {}, end: () => {} };
  return process.stderr.isTTY ? liveWatch() : plainWatch(terminal);
}

function plainWatch(terminal: Terminal): Watch {
  const tracker = new ProgressTracker();
  return {
    event: (event) => {
      const line = tracker.apply(event);
      if (line === undefined) return;
      const elapsed = Date.parse(event.at) - (tracker.progress.startedAt ?? 0);
      terminal.note(`${seconds(elapsed).padStart(8)}  ${line}`);
    },
    waits: (words) => {
      const elapsed = seconds(Date.now() - (tracker.progress.startedAt ?? Date.now()));
      for (const line of tracker.wait(words)) terminal.note(`${elapsed.padStart(8)}  ${line}`);
    },
    end: () => {},
  };
}

function liveWatch(): Watch {
  const tracker = new ProgressTracker();
  const log = createLogUpdate(process.stderr);
  // A terminal that does not know its width says 0.
  const draw = () => log(renderLive(tracker.progress, Date.now(), process.stderr.columns || 80).join("\n"));
  const timer = setInterval(draw, frameMs);
  return {
    event: (event) => void tracker.apply(event),
    waits: (words) => void tracker.wait(words),
    end: () => {
      clearInterval(timer);
      draw();
      log.done();
    },
  };
}
