// Runs MicroPython inside Node.js and serves it to tests/vm/machine.py over standard input and output.
//
// First line in: a JSON object {path: text}, the files to put into the VM's file system. After that every line in is one
// request for `guest.serve` (tests/vm/guest.py) and is answered by exactly one line "=ANSWER". Lines that the Python code
// prints come before it, each as ">LINE". A line "!TEXT" says that the driver itself failed; it then exits with code 1.
//
// Reading is synchronous: the round trip is what lets hypothesis ask the VM thousands of questions, and an event loop
// would double it. The VM collects its garbage by itself, whenever Python has returned to JavaScript: between requests.

import { readSync, writeSync } from "node:fs";
import { loadMicroPython } from "@micropython/micropython-webassembly-pyscript/micropython.mjs";

const STDIN = 0;
const STDOUT = 1;

const chunk = Buffer.alloc(1 << 16);
let waiting = Buffer.alloc(0);

/** Return the next line of standard input without its end, or null at its end. */
function readLine() {
  for (;;) {
    const end = waiting.indexOf(10);
    if (end >= 0) {
      const line = waiting.toString("utf8", 0, end);
      waiting = waiting.subarray(end + 1);
      return line;
    }
    const count = readSync(STDIN, chunk);
    if (count === 0) return null;
    waiting = Buffer.concat([waiting, chunk.subarray(0, count)]);
  }
}

/** Write one line whole; a pipe may take it in parts. */
function writeLine(text) {
  let rest = Buffer.from(text + "\n", "utf8");
  while (rest.length > 0) rest = rest.subarray(writeSync(STDOUT, rest));
}

/** Put `files` ({path: text}) into the VM, making the folders they need. */
function copyIn(mp, files) {
  for (const [path, text] of Object.entries(files)) {
    let folder = "";
    for (const part of path.split("/").slice(0, -1)) {
      folder += "/" + part;
      if (!mp.FS.analyzePath(folder).exists) mp.FS.mkdir(folder);
    }
    mp.FS.writeFile("/" + path, text);
  }
}

try {
  const mp = await loadMicroPython({
    linebuffer: true,
    stdout: (line) => writeLine(">" + line),
    stderr: (line) => writeLine(">" + line),
  });
  copyIn(mp, JSON.parse(readLine()));
  mp.runPython("import sys\nsys.path[:] = ['/']\nfrom tests.vm.guest import serve");
  const serve = mp.globals.get("serve");
  for (let line; (line = readLine()) !== null; ) writeLine("=" + serve(line));
} catch (error) {
  writeLine("!" + String(error.stack ?? error).replaceAll("\n", "\\n"));
  process.exitCode = 1;
}
