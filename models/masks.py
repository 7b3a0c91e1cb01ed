"""Rows of text with hidden tokens, for those who train a masked model (masked.py) and those who examine it (cloze.py)."""

import numpy as np
import torch

SPECIAL = PAD, UNKNOWN, CLS, SEP, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
PAD_ID, _, CLS_ID, SEP_ID, MASK_ID = range(len(SPECIAL))
ASIDE = -100


class Rows:
    """Pieces of documents that begin with a sentence, between [CLS] and [SEP]."""

    def __init__(self, documents, tokenizer):
        encoded = [np.array(e.ids) for e in tokenizer.encode_batch(documents, add_special_tokens=False)]
        self.tokens = np.concatenate(encoded)
        stop = np.isin(self.tokens, [tokenizer.token_to_id(c) for c in ".!?"])
        quote = self.tokens == tokenizer.token_to_id('"')
        # A quotation mark right after a stop closes, and the sentence ends with it.
        self.sentence_ends = (stop & ~np.append(quote[1:], False)) | (quote & np.append(False, stop[:-1]))
        bounds = np.cumsum([0] + [len(e) for e in encoded])
        begins = np.append(True, self.sentence_ends[:-1])
        begins[bounds[:-1]] = True
        self.starts = np.flatnonzero(begins)
        self.document_end = np.repeat(bounds[1:], np.diff(bounds))
        self.enough = {}

    def row(self, start, length, whole):
        """At most `length` tokens with [CLS] and [SEP]; `whole`: up to the end of the last whole sentence, if one ends."""
        end = min(start + length - 2, self.document_end[start])
        stops = np.flatnonzero(self.sentence_ends[start:end])
        if whole and len(stops):
            end = start + stops[-1] + 1
        return np.concatenate([[CLS_ID], self.tokens[start:end], [SEP_ID]])

    def batch(self, random, length, count):
        """Rows of up to `length` tokens from where at least three quarters of it are left; half of them end mid-sentence."""
        if length not in self.enough:
            left = self.document_end[self.starts] - self.starts
            self.enough[length] = self.starts[left >= 0.75 * (length - 2)]
        starts = random.choice(self.enough[length], count)
        return pad([self.row(start, length, random.random() < 0.5) for start in starts])


def pad(rows):
    padded = np.full((len(rows), max(map(len, rows))), PAD_ID)
    for to, row in zip(padded, rows):
        to[: len(row)] = row
    return padded


def mask(rows, random, vocabulary, share, hidden, replaced):
    """The rows as the model gets them, and the tokens to guess (elsewhere ASIDE)."""
    guess = (rows >= len(SPECIAL)) & (random.random(rows.shape) < share)
    how = random.random(rows.shape)
    others = random.integers(len(SPECIAL), vocabulary, rows.shape)
    given = np.where(guess & (how < hidden), MASK_ID, rows)
    given = np.where(guess & (how >= hidden) & (how < hidden + replaced), others, given)
    return given, np.where(guess, rows, ASIDE)


def guesses(model, given, labels):
    """Logits [to guess, vocabulary] of the positions to guess, and what stands there."""
    given, labels = torch.from_numpy(given), torch.from_numpy(labels)
    states = model.bert(input_ids=given, attention_mask=(given != PAD_ID).long()).last_hidden_state
    return model.cls(states[labels != ASIDE]).float(), labels[labels != ASIDE]
