import { adapterEnvironment, configOrExit, processEnvironment, redisEnvironment } from "@flotilla/runtime";

const schema = processEnvironment.extend(redisEnvironment.shape).extend(adapterEnvironment.shape);

/** The configuration of a metrics adapter; exits 78 where it is refused. */
export const config = configOrExit(schema, process.env);
