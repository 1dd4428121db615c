// Node's TLS as client and server, driven by lines on standard input; see ../speaking.py.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { connect, createServer } from "node:tls";

const REQUEST = "GET /whoami HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const failures = [];
let waiting = null;

function failed(error) {
  const sentence = told(error);
  if (waiting) waiting(sentence);
  else failures.push(sentence);
}

function told(error) {
  return `${error.code ?? error.name}: ${error.message}`.replace(/\s+/g, " ");
}

function options(version, identity, trust) {
  const own = identity === "-" ? {} : {
    cert: readFileSync(`${identity}/cert.pem`),
    key: readFileSync(`${identity}/key.pem`),
  };
  return { ...own, ca: readFileSync(trust), minVersion: version, maxVersion: version };
}

function call(port, version, identity, trust) {
  return new Promise((done) => {
    const socket = connect({ ...options(version, identity, trust), host: "127.0.0.1", port, servername: "localhost" });
    let answer = "";
    let spoken = "";
    socket.setTimeout(10_000, () => socket.destroy(new Error("timed out")));
    socket.on("secureConnect", () => { spoken = socket.getProtocol(); });
    socket.on("data", (data) => { answer += data; });
    socket.on("error", (error) => done(`failed\t${told(error)}`));
    socket.on("close", () => {
      const head = answer.indexOf("\r\n\r\n");
      done(head < 0 ? "failed\tended without an answer" : `answered\t${spoken}\t${answer.slice(head + 4)}`);
    });
    socket.write(REQUEST);
  });
}

function serve(version, identity, trust) {
  return new Promise((done) => {
    const server = createServer({ ...options(version, identity, trust), requestCert: true, rejectUnauthorized: true });
    server.on("tlsClientError", failed);
    server.on("secureConnection", (socket) => {
      const client = createHash("sha256").update(socket.getPeerX509Certificate().raw).digest("hex");
      let head = "";
      socket.on("error", failed);
      socket.on("data", (data) => {
        head += data;
        if (!head.includes("\r\n\r\n")) return;
        const body = JSON.stringify({ client, version: socket.getProtocol() });
        socket.end(`HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      });
    });
    server.listen(0, "127.0.0.1", () => done(`serving\t${server.address().port}`));
  });
}

function failure() {
  if (failures.length) return `failure\t${failures.shift()}`;
  return new Promise((done) => {
    const end = setTimeout(() => { waiting = null; done("failed\tnothing has failed"); }, 10_000);
    waiting = (sentence) => { waiting = null; clearTimeout(end); done(`failure\t${sentence}`); };
  });
}

for await (const line of createInterface({ input: process.stdin })) {
  const [verb, ...words] = line.split("\t");
  let reply = `failed\tno such command: ${verb}`;
  try {
    if (verb === "serve") reply = await serve(...words);
    if (verb === "call") reply = await call(Number(words[0]), ...words.slice(1));
    if (verb === "failure") reply = await failure();
  } catch (error) {
    reply = `failed\t${told(error)}`;
  }
  console.log(reply);
}
process.exit(0);
