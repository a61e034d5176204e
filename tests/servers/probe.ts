import { connect as connectPlain } from "node:net";
import { connect as connectTls } from "node:tls";

/** What to say to a server, and the answer that shows it is ready. */
export interface Question {
  readonly send: string;
  readonly expect: RegExp;
}

/** What a server demands that encrypts, in PEM. */
export interface ProbeTls {
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
  readonly rejectUnauthorized?: boolean;
}

/** Connects, sends, and resolves with what came back once it matches; rejects after `timeout` ms or on a close. */
export function ask(port: number, question: Question, timeout = 1000, tls?: ProbeTls): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = tls ? connectTls({ port, host: "127.0.0.1", ...tls }) : connectPlain(port, "127.0.0.1");
    const end = (error?: Error) => {
      clearTimeout(timer);
      socket.destroy();
      if (error) reject(error);
      else resolve(answer);
    };
    const timer = setTimeout(() => end(new Error(`no answer in ${timeout} ms, only "${answer}"`)), timeout);
    socket.on(tls ? "secureConnect" : "connect", () => socket.write(question.send));
    socket.on("error", end);
    socket.on("close", () => end(new Error(`closed after "${answer}"`)));
    socket.on("data", (bytes: Uint8Array) => {
      answer += new TextDecoder().decode(bytes);
      if (question.expect.test(answer)) end();
    });
  });
}

/** A plain HTTP request as a question. */
export function httpGet(path: string, expect: RegExp): Question {
  return { send: `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`, expect };
}

/** An HTTP request with a body as a question: `httpSend("PUT /path", { body, expect })`. */
export function httpSend(request: string, { body, expect }: { body: string; expect: RegExp }): Question {
  const length = new TextEncoder().encode(body).length;
  const head = [`${request} HTTP/1.1`, "Host: localhost", "Connection: close", `Content-Length: ${length}`];
  return { send: `${head.join("\r\n")}\r\n\r\n${body}`, expect };
}
