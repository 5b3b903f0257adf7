// The health check of a container, whatever its role: exit code 0 while `/health` is 200. The API answers it on its own
// port, the others beside their metrics: the arguments are the ports to ask, in their order.
for (const port of process.argv.slice(2)) {
  const response = await fetch(`http://127.0.0.1:${port}/health`, { signal: AbortSignal.timeout(4000) }).catch(
    () => {},
  );
  if (response && response.status !== 404) process.exit(response.ok ? 0 : 1);
}
process.exit(1);
