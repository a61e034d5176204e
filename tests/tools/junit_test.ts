import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readJunit } from "../../tools/testing/junit.ts";

/** One file - a plain test, a suite with a suite in it, a failure, a skip - as each runtime reports it. */
const REPORTS = {
  deno: `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="8" failures="3" errors="0" time="0.1">
  <testsuite name="./a_test.ts" tests="4" disabled="1" errors="0" failures="2">
    <testcase name="plain" classname="./a_test.ts" time="0.001" line="6" col="1">
    </testcase>
    <testcase name="skipped" classname="./a_test.ts" time="0.000" line="9" col="1">
      <skipped/>
    </testcase>
    <testcase name="suite" classname="./a_test.ts" time="0.005" line="15" col="1">
      <failure message="1 test step failed">1 test step failed.</failure>
    </testcase>
  </testsuite>
  <testsuite name="ext:deno_node/testing.ts" tests="4" disabled="0" errors="0" failures="2">
    <testcase name="suite &gt; one" classname="ext:deno_node/testing.ts" time="0.000"></testcase>
    <testcase name="suite &gt; deep" classname="ext:deno_node/testing.ts" time="0.002">
      <failure message="1 test step failed">1 test step failed.</failure>
    </testcase>
    <testcase name="suite &gt; deep &gt; fails" classname="ext:deno_node/testing.ts" time="0.000">
      <failure message="Uncaught Error: 1 &lt; 2">Error: 1 &lt; 2
    at a_test.ts:21</failure>
    </testcase>
  </testsuite>
</testsuites>`,
  bun: `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="bun test" tests="4" assertions="0" failures="1" skipped="1" time="0.1">
  <testsuite name="a_test.ts" file="a_test.ts" tests="4" failures="1" skipped="1" time="0.1">
    <testcase name="plain" classname="" time="0.001" file="a_test.ts" line="6" assertions="0" />
    <testcase name="skipped" classname="" time="0" file="a_test.ts" line="9" assertions="0">
      <skipped />
    </testcase>
    <testsuite name="suite" file="a_test.ts" line="15" tests="2" failures="1" skipped="0" time="0">
      <testcase name="one" classname="suite" time="0.000074" file="a_test.ts" line="20" />
      <testsuite name="deep" file="a_test.ts" line="21" tests="1" failures="1" skipped="0" time="0">
        <testcase name="fails" classname="deep &gt; suite" time="0.0001" file="a_test.ts" line="21">
          <failure type="Error" message="1 &lt; 2">Error: 1 &lt; 2&#10;    at a_test.ts:21</failure>
        </testcase>
      </testsuite>
    </testsuite>
  </testsuite>
</testsuites>`,
  node: `<?xml version="1.0" encoding="utf-8"?>
<testsuites>
  <testcase name="plain" time="0.0006" classname="test" file="/x/a_test.ts"/>
  <testcase name="skipped" time="0.0001" classname="test" file="/x/a_test.ts">
    <skipped type="skipped" message="true"/>
  </testcase>
  <testsuite name="suite" time="0.004" disabled="0" errors="0" tests="2" failures="1" skipped="0">
    <testcase name="one" time="0.0002" classname="suite" file="/x/a_test.ts"/>
    <testsuite name="deep" time="0.0005" disabled="0" errors="0" tests="1" failures="1" skipped="0">
      <testcase name="fails" time="0.0001" classname="suite.deep" file="/x/a_test.ts" failure="1 &lt; 2">
        <failure type="testCodeFailure" message="1 &lt; 2">
Error: 1 &lt; 2
    at a_test.ts:21
        </failure>
      </testcase>
    </testsuite>
  </testsuite>
  <testcase name="./empty_test.ts" time="0.06" classname="test" file="/x/empty_test.ts"/>
  <!-- tests 5 -->
</testsuites>`,
};

for (const [runtime, xml] of Object.entries(REPORTS)) {
  describe(`readJunit() on a report of ${runtime}`, () => {
    test("counts tests, and suites not", () => {
      const found = readJunit(xml).map(({ name, status }) => [name, status]);
      assert.deepEqual(found, [
        ["plain", "passed"],
        ["skipped", "skipped"],
        ["suite > one", "passed"],
        ["suite > deep > fails", "failed"],
      ]);
    });

    test("keeps what a failed test said", () => {
      const detail = readJunit(xml).find(({ status }) => status === "failed")?.detail;
      assert.equal(detail, "Error: 1 < 2\n    at a_test.ts:21");
    });

    test("reads as far as a cut-off report goes", () => {
      const cut = xml.slice(0, xml.indexOf('name="skipped"'));
      assert.deepEqual(readJunit(cut).map(({ name }) => name), ["plain"]);
    });
  });
}

test("readJunit() counts a suite of Deno's whose hook failed", () => {
  const xml = `<testsuite name="./b_test.ts">
    <testcase name="suite" classname="./b_test.ts"><failure message="hook">hook</failure></testcase>
    <testcase name="suite &gt; one" classname="ext:deno_node/testing.ts"></testcase></testsuite>`;
  assert.deepEqual(readJunit(xml).map(({ status }) => status), ["failed", "passed"]);
});
