import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Book } from "../../tools/soak/book.ts";

function kinds(book: Book): string[] {
  return book.tally.violations.map(({ kind }) => kind);
}

describe("Book", () => {
  test("finds nothing wrong with holders one after another", () => {
    const book = new Book();
    book.enter("a", "x", 1n);
    book.leave("a", "x", 1n);
    book.enter("b", "x", 2n);
    book.enter("a", "y", 1n);
    const { grants, handoffs, violations } = book.tally;
    assert.deepEqual({ grants, handoffs, violations }, { grants: 3, handoffs: 3, violations: [] });
  });

  test("finds two holders at once", () => {
    const book = new Book();
    book.enter("a", "x", 1n);
    book.enter("b", "x", 2n);
    assert.deepEqual(kinds(book), ["two holders"]);
  });

  test("finds a signal that comes after the next grant", () => {
    const book = new Book();
    book.enter("a", "x", 1n);
    book.enter("b", "x", 2n);
    book.lost("a", "x", 1n);
    assert.deepEqual(kinds(book), ["two holders"]);
  });

  test("finds a token that is equal or smaller", () => {
    const book = new Book();
    for (const token of [5n, 5n, 4n]) {
      book.enter("a", "x", token);
      book.leave("a", "x", token);
    }
    assert.deepEqual(kinds(book), ["token did not grow", "token did not grow"]);
  });

  test("lets a holder that was told, or killed, have a successor", () => {
    const book = new Book();
    book.enter("a", "x", 1n);
    book.lost("a", "x", 1n);
    book.enter("b", "x", 2n);
    book.doom("b");
    book.enter("c", "x", 3n);
    const { lost, killed, violations } = book.tally;
    assert.deepEqual({ lost, killed, violations }, { lost: 1, killed: 1, violations: [] });
  });

  test("takes the last words of a killed holder for what they are", () => {
    const book = new Book();
    book.doom("a");
    book.enter("b", "x", 2n);
    book.enter("a", "x", 1n);
    book.leave("a", "x", 1n);
    book.enter("c", "x", 3n);
    assert.deepEqual(kinds(book), ["two holders"]);
  });
});
