/** Lesson eight in English. */
export default {
  title: 'How big models differ',
  goal: 'The same parts, more of them, and far more text.',
  steps: [
    { heading: 'Count the parts', words: ['This is the model you have been looking at. The models people talk to are built of the same parts: GPT-2 (2019) has 12 layers and 124 million numbers, GPT-3 (2020) 96 layers and 175 thousand million. Attention, feed-forward, norm: nothing else.'] },
    { heading: 'The same question, another model', words: ['Choose another model on one side, if there is one, and compare. In the Models view there are larger ones to fetch. What does it know that the small one does not? Where is it surer?'] },
    { heading: 'Your turn', words: ['Larger models have larger vocabularies, too. How many tokens does this one need?'], question: '“{text}” — how many tokens?', right: 'Right.', wrong: 'Not quite.' },
  ],
};
