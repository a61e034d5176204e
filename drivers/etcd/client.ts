import { Buffer } from "node:buffer";
import { isIP } from "node:net";
import { castGrpcError, Etcd3, type IOptions } from "etcd3";
import type { Clock } from "../../driver.ts";
import type { Credentials, TlsOptions } from "../../internal/access.ts";

/** One server, and who asks it. */
export interface ClientOptions {
  /** `host:port`. */
  readonly host: string;
  readonly credentials: Credentials;
  readonly clock: Clock;
  /** How long logging in may take, in ms. */
  readonly limit: number;
}

/** The client's policy for faults: none. Ours are the deadlines, and its circuit breaker would stay open for seconds. */
const NO_POLICY = { execute: async <T>(fn: (context: unknown) => T) => await fn({}) };

let count = 0;

/** Makes a client of one server, which connects with its first request. */
export function createClient(options: ClientOptions): Etcd3 {
  const client = new Etcd3(settings(options));
  // The types do not tell the client's inside.
  const inside = (client as unknown as { readonly pool: Inside }).pool;
  const { user, tls } = options.credentials;
  if (tls) correctTls(inside, tls);
  if (user !== undefined) logInOnItsOwnConnection(inside, options);
  return client;
}

function settings({ host, credentials: { user, password, tls } }: ClientOptions): IOptions {
  const { servername } = tls ?? {};
  return {
    hosts: `${tls ? "https" : "http"}://${host}`,
    ...tls ? { credentials: certificates(tls) } : {},
    ...user === undefined ? {} : { auth: { username: user, password: password ?? "" } },
    grpcOptions: {
      // Links with equal options share a connection, and so would a new link the dead one of its predecessor.
      "grpc.primary_user_agent": `coord/${++count}`,
      "grpc.enable_retries": 0,
      "grpc.max_receive_message_length": -1,
      "grpc.service_config_disable_resolution": 1,
      ...servername === undefined ? {} : { "grpc.ssl_target_name_override": servername },
    },
    // The type asks for events of the policy too, which the client never listens to.
    faultHandling: { host: () => NO_POLICY, global: NO_POLICY } as unknown as NonNullable<
      IOptions["faultHandling"]
    >,
  };
}

function certificates(
  { ca, cert, key }: NonNullable<Credentials["tls"]>,
): NonNullable<IOptions["credentials"]> {
  const bytes = (texts: string | string[] | undefined) =>
    texts === undefined ? undefined : Buffer.from([texts].flat().join("\n"));
  const given = { rootCertificate: bytes(ca), privateKey: bytes(key), certChain: bytes(cert) };
  // The types leave out that the authorities may be those of the runtime.
  return given as NonNullable<IOptions["credentials"]>;
}

/** What is used of the client's inside, of the version that package.json names and no other. */
interface Inside {
  readonly authenticator: {
    getCredentialsFromHost(address: string, name: string, password: string): Promise<string>;
  };
  readonly hosts: readonly {
    readonly channelCredentials: { _createSecureConnector(...details: unknown[]): Connector };
    getServiceClient(name: "Auth"): Authentication;
  }[];
}

interface Connector {
  readonly connectionOptions: { servername?: string; rejectUnauthorized?: boolean };
}

interface Authentication {
  authenticate(
    request: { readonly name: string; readonly password: string },
    options: { readonly deadline: number },
    done: (error: Error | null, answer: { readonly token: string }) => void,
  ): void;
}

/** The client asks for a server by its address, which TLS does not know, and leaves no choice whether to verify. */
function correctTls({ hosts }: Inside, { rejectUnauthorized }: TlsOptions): void {
  for (const { channelCredentials } of hosts) {
    const create = channelCredentials._createSecureConnector.bind(channelCredentials);
    channelCredentials._createSecureConnector = (...details) => {
      const connector = create(...details);
      const { connectionOptions } = connector;
      if (isIP(connectionOptions.servername ?? "")) delete connectionOptions.servername;
      if (rejectUnauthorized !== undefined) connectionOptions.rejectUnauthorized = rejectUnauthorized;
      return connector;
    };
  }
}

/**
 * The client would log in over a connection more, which it never closes, which it shares with its predecessors however
 * dead that is, and without a deadline.
 */
function logInOnItsOwnConnection({ authenticator, hosts }: Inside, { clock, limit }: ClientOptions): void {
  authenticator.getCredentialsFromHost = (_, name, password) => {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const deadline = clock.wall() + limit;
    hosts[0]?.getServiceClient("Auth").authenticate({ name, password }, { deadline }, (error, answer) => {
      if (error) reject(castGrpcError(error));
      else resolve(answer.token);
    });
    return promise;
  };
}
