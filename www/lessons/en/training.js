/** Lesson six in English. */
export default {
  title: 'Training from noise',
  goal: 'Nobody writes the rules: the numbers are found by guessing and correcting.',
  steps: [
    { heading: 'It begins with noise', words: ['In the Train view, choose a small text and start. Before the first step every number of the model is random, and what it writes is noise.', 'At each step it reads some text, guesses every next token, and every number is moved a little in the direction that would have made the right token likelier.'], formula: 'w ← w − rate · ∂loss/∂w, where loss = −log p(the token that was there)' },
    { heading: 'Watch the curve', words: ['The curve falls quickly at first: letters that are frequent, then short words, then longer ones, then something like sentences. Look at the samples: can you tell by which step it learned to close a word?', 'When the line for held-out text stops falling while the other goes on, the model has begun to learn its text by heart.'] },
    { heading: 'Where it all is kept', words: ['What was learned is nothing but these numbers. Most of them are in the feed-forward parts and in the table of embeddings.'] },
    { heading: 'Your turn', words: ['What would a model that is only half trained prefer? And this one?'], question: '“{text} …” — what does this model find likeliest?', right: 'Right.', wrong: 'The model sees it differently.' },
  ],
};
