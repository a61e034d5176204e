/** The least that PostgreSQL can do: an advisory lock with a token from a sequence, and giving it back, a trip each. */
import { Client } from "pg";

export async function connect(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  client.on("error", () => {}); // Who asks something hears of it.
  await client.connect();
  await client.query("create sequence if not exists floor_token");
  return client;
}

const TAKE = {
  name: "take",
  text: "select case when pg_try_advisory_lock($1) then nextval('floor_token') end",
};
const RELEASE = { name: "release", text: "select pg_advisory_unlock($1)" };

/** One acquire and release a time, alone. */
export async function floor(url: string): Promise<{ once(): Promise<void>; close(): Promise<void> }> {
  const client = await connect(url);
  return {
    async once() {
      await client.query({ ...TAKE, values: ["42"] });
      await client.query({ ...RELEASE, values: ["42"] });
    },
    close: () => client.end(),
  };
}
