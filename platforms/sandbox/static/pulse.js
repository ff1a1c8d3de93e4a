// Timers of a hidden page are slowed down; those of a worker are not.
setInterval(() => postMessage(0), 600);
