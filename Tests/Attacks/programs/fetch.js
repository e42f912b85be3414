// Fetches X.509-SVIDs with nothing but Node's own library, and reports like the programs in C. Argument: the socket.
const http2 = require("node:http2");
const net = require("node:net");

const told = { ids: [], messages: 0, status: -1, message: "", ending: "", pings: 0, note: "node" };
const finish = (ending) => {
    told.ending = told.ending || ending;
    console.log(JSON.stringify(told));
    process.exit(told.messages ? 0 : 1);
};
const session = http2.connect("http://localhost", { createConnection: () => net.connect(process.argv[2]) });
session.on("error", () => finish("broken"));
session.on("close", () => finish("closed"));
session.on("ping", () => told.pings++);
const call = session.request({
    ":method": "POST",
    ":path": "/SpiffeWorkloadAPI/FetchX509SVID",
    te: "trailers",
    "content-type": "application/grpc",
    "workload.spiffe.io": "true",
});
let body = Buffer.alloc(0);
const status = (headers) => {
    if (headers["grpc-status"] === undefined) return;
    told.status = Number(headers["grpc-status"]);
    told.message = headers["grpc-message"] || "";
};
call.on("response", status);
call.on("trailers", status);
call.on("error", () => finish("reset"));
call.on("end", () => finish("status"));
call.on("data", (part) => {
    body = Buffer.concat([body, part]);
    if (body.length < 5 || body.length < 5 + body.readUInt32BE(1)) return;
    told.messages = 1;
    // Field 1 of field 1: what stands before the certificate.
    told.ids = [...body.toString("latin1").matchAll(/\n.(spiffe:\/\/[\x21-\x7e]+)\x12/gs)].map((found) => found[1]);
    finish("");
});
call.end(Buffer.alloc(5));
setTimeout(() => finish("silence"), 10000);
