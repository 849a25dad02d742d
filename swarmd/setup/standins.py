"""Two of VS Code's native modules, written in JavaScript, so that nothing has to be compiled.

Of the native modules that the server loads, the terminal (``node-pty``), the file watcher
(``@parcel/watcher``), the search (``ripgrep``) and the password hash (``argon2``) come from the
registry with their binaries. Two come as C++ sources alone:

- ``@vscode/spdlog`` writes the log files. Without it every Output panel in the browser stays
  empty and the lines pile up in memory. Compiling takes half a minute and g++, make and python.
- ``@vscode/native-watchdog`` ends an extension host whose parent died and whose event loop is
  stuck; VS Code itself looks after the parent once a second. Without it each start logs an error.

The stand-ins are new files at the places where a build would leave its product; no file of
VS Code is changed, and a compiled module, where there is one, is found first. Left out are
``@vscode/sqlite3``, ``@vscode/fs-copyfile`` and ``@vscode/deviceid`` (they serve the agent host,
which wants an account at a third party) and ``kerberos`` (proxies that demand it).
"""

from __future__ import annotations

from pathlib import Path

SPDLOG = r"""'use strict';
// Stands in for the compiled half of @vscode/spdlog. Every line is written at once, as the
// server asks for with setFlushOn(0); files rotate as spdlog's do: a.log, a.1.log, a.2.log.
const fs = require('fs');
const path = require('path');

const METHODS = ['trace', 'debug', 'info', 'warn', 'error', 'critical'];
const LABELS = ['trace', 'debug', 'info', 'warning', 'error', 'critical'];

function timestamp() {
  const now = new Date();
  const local = new Date(now.getTime() - now.getTimezoneOffset() * 60000);
  return local.toISOString().replace('T', ' ').replace('Z', '');
}

class Logger {
  constructor(type, name, filename, maxSize, maxFiles) {
    this.filename = filename;
    this.maxSize = maxSize;
    this.maxFiles = maxFiles;
    this.level = 2;
    this.plain = false;
    this.open();
  }

  open() {
    this.fd = fs.openSync(this.filename, 'a');
    this.size = fs.fstatSync(this.fd).size;
  }

  numbered(n) {
    const { dir, name, ext } = path.parse(this.filename);
    return n === 0 ? this.filename : path.join(dir, `${name}.${n}${ext}`);
  }

  rotate() {
    this.drop();
    for (let n = this.maxFiles; n > 0; n--) {
      if (fs.existsSync(this.numbered(n - 1))) {
        fs.renameSync(this.numbered(n - 1), this.numbered(n));
      }
    }
    this.open();
  }

  write(level, message) {
    if (level < this.level || this.fd === undefined) {
      return;
    }
    const text = this.plain ? message : `${timestamp()} [${LABELS[level]}] ${message}\n`;
    const line = Buffer.from(text);
    try {
      if (this.size > 0 && this.size + line.length > this.maxSize) {
        this.rotate();
      }
      fs.writeSync(this.fd, line);
      this.size += line.length;
    } catch (error) {
      console.error(error);  // a full disk must not end the server
    }
  }

  getLevel() { return this.level; }
  setLevel(level) { this.level = level; }
  setPattern() { this.plain = false; }
  clearFormatters() { this.plain = true; }
  flush() {}

  drop() {
    if (this.fd !== undefined) {
      fs.closeSync(this.fd);
      this.fd = undefined;
    }
  }
}

METHODS.forEach((method, level) => {
  Logger.prototype[method] = function (message) { this.write(level, message); };
});

module.exports = { version: 0, setLevel() {}, setFlushOn() {}, Logger };
"""

WATCHDOG = """'use strict';
// Stands in for the compiled half of @vscode/native-watchdog. VS Code's own timer ends an
// extension host whose parent is gone; only one with a stuck event loop would outlive it.
module.exports = { start() {}, exit(code) { process.exit(code); } };
"""

#: Where each stand-in goes, below ``lib/vscode/node_modules``.
STANDINS = {
    "@vscode/spdlog/build/spdlog.node.js": SPDLOG,
    "@vscode/native-watchdog/build/Release/watchdog.js": WATCHDOG,
}


def write_standins(modules: Path) -> None:
    """Put the stand-ins into ``modules``, VS Code's ``node_modules`` folder."""
    for name, source in STANDINS.items():
        file = modules / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source, encoding="utf-8")
