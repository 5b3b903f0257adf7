import { tryLock } from "../src/local/lock.ts";

// usage: lock-holder.ts FILE
//
// Takes the lock, says so, and holds it until it is killed.
if (tryLock(process.argv[2] ?? "")) process.stdout.write("locked\n");
setInterval(() => {}, 60_000);
