// A process of a fleet as a test wants it. SCRIPT: `serve` becomes ready and stays; `die` ends with EXIT_CODE before it
// is ready; `stubborn` is ready and ignores SIGTERM; `orphan` is ready and ends with its parent.
const { SCRIPT, EXIT_CODE, PORT = "4711" } = process.env;

if (SCRIPT === "die") {
  console.error("bad configuration: nothing is right");
  process.exit(Number(EXIT_CODE));
}
if (SCRIPT === "stubborn") process.on("SIGTERM", () => {});
process.on("disconnect", () => process.exit(0));
process.send?.({ kind: "ready", url: `http://127.0.0.1:${PORT}`, metricsUrl: "http://127.0.0.1:4712/metrics" });
setInterval(() => {}, 60_000);
