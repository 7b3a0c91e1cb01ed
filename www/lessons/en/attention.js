/** Lesson four in English. */
export default {
  title: 'Attention',
  goal: 'How a token gets to know of the tokens before it.',
  steps: [
    { heading: 'Looking back', words: ['Each small square is a head: a part of the model that looks back over the text. Rows are tokens, columns what they look at; the darker, the more. Nothing is above the diagonal, because nobody can look ahead.', 'Choose a square, then point at a token.'], formula: 'weight = softmax(q · k / √d); result = Σ weight · v' },
    { heading: 'Heads have habits', words: ['Some heads look at the token just before, some at the first token of all (which means: at nothing in particular), some at a word that occurred before. Rest the pointer on a square to read its habits.'] },
    { heading: 'What if it were not there?', words: ['Switch a head off and see whether the prediction changes. Many can be missed; a few cannot. Switch off several in the same layer.'] },
    { heading: 'Your turn', words: ['To answer this, the model has to look back.'], question: '“{text} …”', right: 'Right, and the model found it too.', wrong: 'The model says otherwise. Is it wrong, or are you?' },
  ],
};
