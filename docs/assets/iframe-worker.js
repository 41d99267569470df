// A page that is opened from the file system may start no worker, and the search is one: a hidden frame takes its place.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.waiting = [];
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      const inside = frame.contentWindow;
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      inside.importScripts = () => Promise.resolve();
      this.send = (data) => inside.dispatchEvent(new MessageEvent("message", { data }));
      const script = inside.document.createElement("script");
      script.src = new URL(url, location.href);
      script.onload = () => {
        this.ready = true;
        this.waiting.forEach((data) => this.send(data));
      };
      inside.document.body.append(script);
    }
    postMessage(data) {
      this.ready ? this.send(data) : this.waiting.push(data);
    }
    terminate() {}
  };
}
