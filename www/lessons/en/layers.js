/** Lesson five in English. */
export default {
  title: 'Layers',
  goal: 'The answer is not found at once, but layer by layer.',
  steps: [
    { heading: 'Asking each layer', words: ['The bottom row is what the model would say if it had no layers at all; the top row is what it says. In between, every layer has added something. A frame means: here it already says what it will say in the end.'], formula: 'softmax(W · norm(x after layer i)): the logit lens' },
    { heading: 'Who adds what', words: ['For one token the bars show what attention and feed-forward of each layer add to its number, or take from it. All of them together are the number. Choose another token and compare.'] },
    { heading: 'Tokens part', words: ['On the plane every token begins where its embedding is. Move through the layers: tokens that mean something to one another in this text move alike.'] },
    { heading: 'Your turn', words: ['Guess before you look: after which layer has the model settled on its answer?'], question: '“{text} …” — after which layer? (0 is before all)', right: 'Right.', wrong: 'Look at the lens to see.' },
  ],
};
