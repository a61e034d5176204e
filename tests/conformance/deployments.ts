import type { Suite } from "../servers/binaries.ts";

/** A server program in one version. */
export interface Version {
  /** As the driver's page has it, with the release of Debian's that it is taken from. */
  readonly title: string;
  /** The word for it in the names of backends; default: none, for what the driver's own name stands for. */
  readonly word?: string;
  readonly program: string;
  /** Default: what there is, the preferred suite first. */
  readonly suite?: Suite;
  /** Every deployment has the whole suite, as a product of its own. Default: its single server has. */
  readonly isWhole?: boolean;
}

/** What a driver runs on: every version in every deployment. */
export interface Served {
  readonly versions: readonly Version[];
  /** By their words in the names of backends, as the driver's page has them. */
  readonly deployments: Readonly<Record<string, string>>;
  /** What of that there cannot be, and why. */
  readonly empty?: Readonly<Record<string, string>>;
}

export const SINGLE = "single";

/** By driver; those that are missing have no server. */
export const SERVED: Readonly<Record<string, Served>> = {
  consul: {
    versions: [{ title: "Consul 1.8 (Debian 11)", program: "consul" }],
    deployments: { [SINGLE]: "one server", tls: "TLS and a token", cluster: "three servers" },
    empty: {
      "in another version than 1.8": "cannot be fetched, Debian has had none since",
      "with namespaces": "only its enterprise edition has them",
    },
  },
  etcd: {
    versions: [
      { title: "etcd 3.4 (Debian 12)", program: "etcd" },
      { title: "etcd 3.3 (Debian 11)", word: "3_3", program: "etcd", suite: "bullseye" },
      { title: "etcd 3.5 (Debian sid)", word: "3_5", program: "etcd", suite: "sid" },
    ],
    deployments: { [SINGLE]: "one server", tls: "TLS and a user", cluster: "three servers" },
  },
  memcached: {
    versions: [
      { title: "memcached 1.6.18 (Debian 12)", program: "memcached" },
      { title: "memcached 1.6.38 (Debian 13)", word: "1_6_38", program: "memcached", suite: "trixie" },
      { title: "memcached 1.6.45 (Debian sid)", word: "1_6_45", program: "memcached", suite: "sid" },
    ],
    deployments: { [SINGLE]: "one server", tls: "TLS and a user", several: "three servers" },
  },
  mysql: {
    versions: [
      { title: "MariaDB 10.11 (Debian 12)", program: "mariadbd" },
      { title: "MariaDB 11.8 (Debian 13)", word: "mariadb_11", program: "mariadbd", suite: "trixie" },
      { title: "MySQL 9.7 (Debian sid)", word: "9", program: "mysqld", suite: "sid", isWhole: true },
    ],
    deployments: { [SINGLE]: "one server", tls: "TLS and a certificate" },
  },
  postgresql: {
    versions: [
      { title: "PostgreSQL 15 (Debian 12)", program: "postgres" },
      { title: "PostgreSQL 17 (Debian 13)", word: "17", program: "postgres", suite: "trixie" },
      { title: "PostgreSQL 18 (Debian sid)", word: "18", program: "postgres", suite: "sid" },
    ],
    deployments: { [SINGLE]: "one server", tls: "TLS and a certificate", standby: "with a standby" },
  },
  redis: {
    versions: [
      { title: "Redis 7.0 (Debian 12)", program: "redis-server" },
      { title: "Redis 8 (Debian sid)", word: "8", program: "redis-server", suite: "sid" },
      { title: "Valkey 9 (Debian sid)", word: "valkey_9", program: "valkey-server", suite: "sid" },
    ],
    deployments: {
      [SINGLE]: "one server",
      tls: "TLS and a user",
      sentinel: "Sentinel",
      cluster: "Cluster",
      cluster_gate: "Cluster behind a proxy",
    },
  },
  zookeeper: {
    versions: [
      { title: "ZooKeeper 3.8 (Debian 12)", program: "zookeeper" },
      { title: "ZooKeeper 3.9 (Debian sid)", word: "3_9", program: "zookeeper", suite: "sid" },
    ],
    deployments: { [SINGLE]: "one server", tls: "TLS and a user", cluster: "three servers" },
    empty: { "with SASL": "its client has no such log-in; users are digests of user and password" },
  },
};

/** What a conformance suite runs on: a driver on its servers in one version, run in one way. */
export interface Backend {
  /** `redis`, `redis_tls`, `redis_valkey_9`, `redis_valkey_9_tls`. */
  readonly name: string;
  readonly driver: string;
  readonly deployment: string;
  /** Undefined: it has no server. */
  readonly version?: Version;
  /** Whether it has every case of the suite; else it has those that are marked smoke. */
  readonly isWhole: boolean;
}

/** All backends of a driver, the one that its own name stands for first. */
export function backendsOf(driver: string): Backend[] {
  const served = SERVED[driver];
  if (!served) return [{ name: driver, driver, deployment: SINGLE, isWhole: true }];
  return Object.keys(served.deployments).flatMap((deployment) =>
    served.versions.map((version) => ({
      name: [driver, version.word, deployment === SINGLE ? undefined : deployment]
        .filter((word) => word !== undefined).join("_"),
      driver,
      deployment,
      version,
      isWhole: version.word === undefined || version.isWhole === true || deployment === SINGLE,
    }))
  );
}

/** The backend of a name; undefined: there is none. */
export function findBackend(name: string): Backend | undefined {
  return backendsOf(name.split("_")[0] ?? "").find((backend) => backend.name === name);
}
