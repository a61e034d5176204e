import { givingUp } from "./locks/giving_up.ts";
import { breaking } from "./locks/breaking.ts";
import { crashes } from "./locks/crashes.ts";
import { cutAnswers } from "./locks/cut_answers.ts";
import { order } from "./locks/order.ts";
import { releases } from "./locks/releases.ts";
import { shared } from "./locks/shared.ts";
import { tokens } from "./locks/tokens.ts";
import { tries } from "./locks/tries.ts";
import { uses } from "./locks/uses.ts";
import { views } from "./locks/views.ts";
import { lifecycle } from "./groups/lifecycle.ts";
import { membership } from "./groups/membership.ts";
import { calls } from "./groups/calls.ts";
import { capabilities } from "./groups/capabilities.ts";
import { capacity } from "./groups/capacity.ts";
import { deaths } from "./groups/deaths.ts";
import { changes } from "./watches/changes.ts";
import { endings } from "./watches/endings.ts";
import { away } from "./watches/away.ts";
import { campaigns } from "./elections/campaigns.ts";
import { leading } from "./elections/leading.ts";
import { watching } from "./elections/watching.ts";
import { successions } from "./elections/deaths.ts";
import { partitioners } from "./partition/partitioners.ts";
import { names } from "./connecting/names.ts";
import { options } from "./connecting/options.ts";
import { closing } from "./session/closing.ts";
import { replacing } from "./session/replacing.ts";
import { clocks } from "./session/clocks.ts";
import { abandoning } from "./session/abandoning.ts";
import { bound } from "./session/bound.ts";
import { outages } from "./session/outages.ts";
import { losses } from "./session/losses.ts";
import { lifetimes } from "./session/lifetimes.ts";
import { whole } from "./connecting/whole.ts";
import { pushes } from "./watches/pushes.ts";
import { waking } from "./locks/waking.ts";
import { unheard } from "./locks/unheard.ts";
import type { Case } from "./suite.ts";

/** The whole suite, in the order in which it runs. */
export const CASES: readonly Case[] = [
  ...tokens,
  ...tries,
  ...givingUp,
  ...order,
  ...shared,
  ...releases,
  ...uses,
  ...breaking,
  ...views,
  ...cutAnswers,
  ...crashes,
  ...closing,
  ...replacing,
  ...abandoning,
  ...clocks,
  ...outages,
  ...bound,
  ...losses,
  ...lifetimes,
  ...lifecycle,
  ...membership,
  ...calls,
  ...capabilities,
  ...capacity,
  ...deaths,
  ...changes,
  ...endings,
  ...away,
  ...campaigns,
  ...leading,
  ...watching,
  ...successions,
  ...partitioners,
  ...names,
  ...options,
  ...whole,
  ...pushes,
  ...waking,
  ...unheard,
];
