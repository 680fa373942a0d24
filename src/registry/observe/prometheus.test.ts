import { expect, test } from "bun:test";
import { RequestMetrics, routeOf } from "./metrics.ts";
import { Counter, Histogram, printGauge } from "./prometheus.ts";

test("text as Prometheus reads it", () => {
  const counter = new Counter("c_total", "Counts.");
  counter.add({ a: 'x"y\\z\n' }, 2);
  counter.add({ a: 'x"y\\z\n' });
  expect(counter.print()).toBe(
    '# HELP c_total Counts.\n# TYPE c_total counter\nc_total{a="x\\"y\\\\z\\n"} 3\n',
  );
  expect(printGauge("g", "G.", 1.5)).toBe("# HELP g G.\n# TYPE g gauge\ng 1.5\n");
  const histogram = new Histogram("h_seconds", "H.");
  histogram.observe({ r: "a" }, 0.002);
  histogram.observe({ r: "a" }, 1000);
  const text = histogram.print();
  expect(text).toContain('h_seconds_bucket{r="a",le="0.001"} 0\n');
  expect(text).toContain('h_seconds_bucket{r="a",le="0.0025"} 1\n');
  expect(text).toContain('h_seconds_bucket{r="a",le="+Inf"} 2\n');
  expect(text).toContain('h_seconds_count{r="a"} 2\n');
});

test.each([
  ["/v2/", "ping"],
  ["/v2/team/app/manifests/v1", "manifests"],
  ["/v2/team/app/blobs/sha256:00", "blobs"],
  ["/v2/team/app/blobs/uploads/", "uploads"],
  ["/v2/team/app/blobs/uploads/123", "uploads"],
  ["/v2/team/app/tags/list", "tags"],
  ["/v2/manifests/tags/list", "tags"],
  ["/v2/a/referrers/sha256:00", "referrers"],
  ["/v2/_catalog", "catalog"],
  ["/token", "token"],
  ["/favicon.ico", "other"],
  ["/v2/x", "other"],
])("route of %s is %s", (path, route) => {
  expect(routeOf(path)).toBe(route);
});

test("requests are counted at the door", async () => {
  const metrics = new RequestMetrics();
  const request = new Request("http://r/v2/a/manifests/b", { method: "OPTIONS" });
  await metrics.measure(
    request,
    async () => new Response("x", { status: 404, headers: { "Content-Length": "1" } }),
  );
  expect(metrics.print()).toContain(
    'gantry_registry_requests_total{route="manifests",method="other",status="404"} 1',
  );
  expect(metrics.print()).toContain('gantry_registry_sent_bytes_total{route="manifests"} 1');
  expect(metrics.running).toBe(0);
});
