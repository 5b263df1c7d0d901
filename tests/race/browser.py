"""A headless Chromium, driven by its DevTools protocol over a websocket."""

import asyncio
import base64
import json
import shutil
import subprocess
import time

from tornado.websocket import websocket_connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SWITCHES = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
    "--hide-scrollbars", "--disable-dev-shm-usage", "--remote-debugging-port=0",
)  # fmt: skip
PATIENCE = 30  # seconds for the browser to start, or to answer


class Page:
    """One tab. What the browser reports while it is open (requests, console lines, exceptions) is in `events`."""

    def __init__(self, profile):
        self.loop = asyncio.new_event_loop()
        self.events = []
        self.number = 0
        self.session = None
        self.process = subprocess.Popen(
            [CHROMIUM, *SWITCHES, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self.socket = self.loop.run_until_complete(self._connect(self._address(profile)))
            target = self.send("Target.createTarget", url="about:blank")["targetId"]
            self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.send(f"{domain}.enable")
        except BaseException:
            self.close()
            raise

    def _address(self, profile):
        """Chromium writes its port and path to a file once it listens."""
        file, until = profile / "DevToolsActivePort", time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise RuntimeError(f"{CHROMIUM} ended with {self.process.returncode} before it listened")
            lines = file.read_text().splitlines() if file.exists() else []
            if len(lines) == 2:
                return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
            time.sleep(0.05)
        raise TimeoutError(f"{CHROMIUM} did not listen within {PATIENCE} seconds")

    async def _connect(self, address):
        return await websocket_connect(address, max_message_size=2**28)

    def send(self, method, **parameters):
        """Calls a method of the protocol and returns its result; events that come meanwhile are kept."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        return self.loop.run_until_complete(asyncio.wait_for(self._exchange(message), PATIENCE))

    async def _exchange(self, message):
        await self.socket.write_message(json.dumps(message))
        while True:
            answer = json.loads(await self.socket.read_message())
            if answer.get("id") != message["id"]:
                self.events.append(answer)
            elif "error" in answer:
                raise RuntimeError(f"{message['method']}: {answer['error']['message']}")
            else:
                return answer["result"]

    def open(self, path):
        """Loads a file and waits until it is complete."""
        self.send("Page.navigate", url=path.as_uri())
        until = time.monotonic() + PATIENCE
        while self.run("location.href + ' ' + document.readyState") != f"{path.as_uri()} complete":
            assert time.monotonic() < until, f"{path} was not loaded within {PATIENCE} seconds"
            time.sleep(0.02)

    def run(self, expression):
        """The value of a JavaScript expression."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"]["description"])
        return answer["result"].get("value")

    def show(self, width, *, dark=False, media="", height=900):
        """Sets the window's width in pixels, the colour scheme and the medium ("print")."""
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", media=media, features=[feature])

    def photograph(self, path, *, whole=False):
        """A screenshot of the window, or of the whole page."""
        image = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(image["data"]))

    def requests(self):
        """The addresses of all requests so far."""
        return [e["params"]["request"]["url"] for e in self.events if e.get("method") == "Network.requestWillBeSent"]

    def complaints(self):
        """What the console and the log said, and uncaught exceptions."""
        told = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        return [event["params"] for event in self.events if event.get("method") in told]

    def close(self):
        if hasattr(self, "socket"):
            self.session = None
            self.send("Browser.close")
            self.socket.close()
        else:
            self.process.kill()
        self.process.wait(PATIENCE)
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()
