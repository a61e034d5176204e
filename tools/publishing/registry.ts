import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";

/** One upload, unpacked: what everyone would get. */
export interface Upload {
  readonly name: string;
  readonly version: string;
  readonly dir: string;
  /** Paths within {@linkcode dir}, sorted. */
  readonly files: readonly string[];
}

const VERSION = /^\/api\/scopes\/([^/]+)\/packages\/([^/]+)\/versions\/([^/]+)$/;

function unpack(tarball: Uint8Array, dir: string): void {
  mkdirSync(dir, { recursive: true });
  Deno.writeFileSync(`${dir}.tar.gz`, tarball);
  const tar = new Deno.Command("tar", { args: ["-xzf", `${dir}.tar.gz`, "-C", dir] }).outputSync();
  if (!tar.success) throw new Error(`Cannot unpack the upload: ${new TextDecoder().decode(tar.stderr)}`);
}

function listFiles(dir: string): string[] {
  const all = readdirSync(dir, { recursive: true, encoding: "utf8" });
  return all.filter((file) => statSync(`${dir}/${file}`).isFile()).sort();
}

/**
 * As much of a JSR registry as `deno publish` and `jsr:` imports talk to, on a local port: it takes one package and
 * gives it out again. Set `JSR_URL` to {@linkcode url}.
 */
export class LocalRegistry {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #dir: string;
  #upload: Upload | undefined;

  /** Keeps what is uploaded under `dir`. */
  constructor(dir: string) {
    this.#dir = dir;
    const quiet = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
    this.#server = Deno.serve(quiet, (request) => this.#answer(request));
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/`;
  }

  get upload(): Upload {
    if (!this.#upload) throw new Error("Cannot look at the upload: nothing was published");
    return this.#upload;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const version = VERSION.exec(pathname);
    if (version && request.method === "POST") {
      return this.#take(version, new Uint8Array(await request.arrayBuffer()));
    }
    // Deno publishes only what the registry says it has not got.
    if (version) return Response.json({ code: "packageVersionNotFound", message: "" }, { status: 404 });
    if (pathname.startsWith("/api/")) return Response.json({});
    return this.#give(pathname);
  }

  #take([, scope, name, version = ""]: RegExpExecArray, tarball: Uint8Array): Response {
    const dir = `${this.#dir}/upload`;
    unpack(tarball, dir);
    this.#upload = { name: `@${scope}/${name}`, version, dir, files: listFiles(dir) };
    return Response.json({ id: crypto.randomUUID(), status: "success", error: null });
  }

  #give(pathname: string): Response {
    const { name, version, dir, files } = this.upload;
    if (pathname === `/${name}/meta.json`) {
      return Response.json({ name, latest: version, versions: { [version]: {} } });
    }
    if (pathname === `/${name}/${version}_meta.json`) return Response.json(this.#versionMeta());
    const file = pathname.slice(`/${name}/${version}/`.length);
    if (!files.includes(file)) return new Response("There is no such file", { status: 404 });
    return new Response(readFileSync(`${dir}/${file}`), {
      headers: { "content-type": "application/typescript" },
    });
  }

  #versionMeta(): unknown {
    const { dir, files } = this.upload;
    const manifest = Object.fromEntries(files.map((file) => {
      const bytes = readFileSync(`${dir}/${file}`);
      const checksum = `sha256-${createHash("sha256").update(bytes).digest("hex")}`;
      return [`/${file}`, { size: bytes.length, checksum }];
    }));
    const { exports } = JSON.parse(readFileSync(`${dir}/deno.json`, "utf8"));
    return { exports, manifest };
  }
}
