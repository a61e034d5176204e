import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fetchedFolders, findBinary, requireBinary, type Suite } from "./binaries.ts";
import { Authority, type Certificate, type Particulars } from "./certificates.ts";
import { type Cluster, type ClusterOptions, type NodeSpec, startCluster } from "./cluster.ts";
import { freePorts } from "./ports.ts";
import { ask } from "./probe.ts";
import { serverDir, type ServerProcess, startServer } from "./server.ts";

export interface ZooKeeperOptions {
  /** bullseye has 3.4, bookworm 3.8, sid 3.9. Default: what there is, bookworm first. */
  suite?: Suite | undefined;
  /** Speaks TLS only, with clients that have a certificate of the same authority; what is special about its own. */
  tls?: boolean | Particulars;
  /** What clients log in as, name and password; default: as nobody. */
  login?: string;
  /** Further lines for zoo.cfg. */
  config?: readonly string[];
}

/** jute before zookeeper, which has some of its classes in an older form. */
const JARS = ["zookeeper-jute", "zookeeper", "slf4j-api", "slf4j-simple", "metrics-core", "snappy-java"];
/** What 3.4 makes do with. */
const OLD_JARS = ["zookeeper", "slf4j-api", "slf4j-simple"];

const TLS_JARS = ["common", "buffer", "transport", "handler", "codec", "resolver"].map((part) =>
  `netty-${part}`
)
  .concat("netty-transport-native-epoll", "netty-transport-native-unix-common");

const JVM = [
  ...["-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Xshare:auto"],
  // A network of ours looks for the sockets of its nodes among those of IPv4.
  "-Djava.net.preferIPv4Stack=true",
  // What was written survives the process, if not the machine: enough for kill -9.
  "-Dzookeeper.forceSync=no",
  // Else nodes that hear nothing ask each other ever less often, up to once a minute.
  "-Dzookeeper.fastleader.maxNotificationInterval=500",
  "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
  // Of 3.4, which would look for a library of its own.
  "-Dzookeeper.jmx.log4j.disable=true",
];

const CONFIG = [
  "tickTime=200",
  "initLimit=25",
  "syncLimit=10",
  "minSessionTimeout=400",
  "maxSessionTimeout=3600000",
  "maxClientCnxns=0",
  "admin.enableServer=false",
  "4lw.commands.whitelist=srvr,mntr,wchs,cons",
];

/** While it starts it may accept a connection and never answer: then the next one counts. */
const PATIENCE = 300;

/** The Java class path of ZooKeeper; undefined when there is none, or no Java. */
export function findZooKeeper(suite?: Suite): string | undefined {
  if (!findBinary("java")) return undefined;
  const paths = fetchedFolders(suite).map((folder) =>
    (suite === "bullseye" ? OLD_JARS : JARS).map((jar) => `${folder}/usr/share/java/${jar}.jar`)
  );
  return paths.find((jars) => jars.every((jar) => existsSync(jar)))?.join(":");
}

/** With what it needs to speak TLS, which one suite has for all: the newest has the same version. */
function withTls(classPath: string | undefined): string | undefined {
  const folders = fetchedFolders().map((folder) => `${folder}/usr/share/java`);
  const folder = folders.find((each) => TLS_JARS.every((jar) => existsSync(`${each}/${jar}.jar`)));
  return classPath && folder && [classPath, ...TLS_JARS.map((jar) => `${folder}/${jar}.jar`)].join(":");
}

/** A file with a certificate and its key, as Java reads them. */
function keyStore({ cert, key }: Certificate): string {
  const file = cert.replace(/\.pem$/, ".both.pem");
  writeFileSync(file, readFileSync(key, "utf8") + readFileSync(cert, "utf8"));
  return file;
}

function secure(port: number, authority: Authority): string[] {
  return [
    `secureClientPort=${port}`,
    "secureClientPortAddress=127.0.0.1",
    "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory",
    `ssl.keyStore.location=${keyStore(authority.server)}`,
    "ssl.keyStore.type=PEM",
    `ssl.trustStore.location=${authority.ca}`,
    "ssl.trustStore.type=PEM",
  ];
}

/** Starts a single ZooKeeper of its own; its data outlive a kill -9. `await using` ends it. */
export async function startZooKeeper(options: ZooKeeperOptions = {}): Promise<ServerProcess> {
  const [node] = await nodes(1, options);
  if (!node) throw new Error("Cannot start ZooKeeper: there is no node");
  return await startServer(node);
}

/** Starts three of them that are one; their data outlive a kill -9. */
export async function startZooKeeperCluster(
  options: ZooKeeperOptions & ClusterOptions = {},
): Promise<Cluster> {
  return await startCluster("zookeeper cluster", await nodes(3, options), options);
}

async function nodes(count: number, options: ZooKeeperOptions & ClusterOptions): Promise<NodeSpec[]> {
  const { suite, tls = false, login, config = [], isolatable = false } = options;
  const plain = findZooKeeper(suite);
  const classPath = tls ? withTls(plain) : plain;
  if (classPath === undefined) throw new Error("Cannot start ZooKeeper: it or Java is missing");
  const java = requireBinary("java");
  const [name = "", word = ""] = login?.split(/:(.*)/s) ?? [];
  const user = login === undefined ? "" : `${encodeURIComponent(name)}:${encodeURIComponent(word)}@`;
  const ports = await Promise.all(Array.from({ length: count }, () => freePorts(4)));
  const members = ports.map(([, quorum, election], index) =>
    `server.${index + 1}=127.0.0.1:${quorum}:${election}`
  );
  return ports.map(([port = 0, quorum = 0, election = 0, socks = 0], index) => {
    const dir = serverDir("zookeeper");
    const authority = tls ? new Authority(join(dir, "tls"), tls) : undefined;
    const [probeTls, query] = authority ? [authority.probe(), `?${authority.query()}`] : [undefined, ""];
    const listen = authority
      ? secure(port, authority)
      : [`clientPort=${port}`, "clientPortAddress=127.0.0.1"];
    const places = [`dataDir=${dir}/data`, ...listen, ...count > 1 ? members : []];
    mkdirSync(`${dir}/data`);
    writeFileSync(`${dir}/data/myid`, `${index + 1}\n`);
    writeFileSync(`${dir}/zoo.cfg`, [...CONFIG, ...places, ...config, ""].join("\n"));
    const words = [...JVM, ...isolatable ? throughSocks(socks) : [], "-cp", classPath];
    return {
      name: "zookeeper",
      port,
      dir,
      command: [java.file, ...words, "org.apache.zookeeper.server.quorum.QuorumPeerMain", `${dir}/zoo.cfg`],
      env: java.env,
      // A node of a cluster says so only while it is in touch with a majority.
      probe: () =>
        ask(port, { send: "srvr", expect: /Mode: (standalone|leader|follower)/ }, PATIENCE, probeTls),
      url: (reached) => `zookeeper://${user}127.0.0.1:${reached}${query}`,
      leads: async () => /leader/.test(await ask(port, { send: "srvr", expect: /Mode: \w+\s/ })),
      peer: { ports: [quorum, election], socks },
    };
  });
}

/** Makes Java ask a proxy for every connection, even one to this machine. */
function throughSocks(port: number): string[] {
  return ["-DsocksProxyHost=127.0.0.1", `-DsocksProxyPort=${port}`, "-DsocksNonProxyHosts="];
}
