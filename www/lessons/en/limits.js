/** Lesson seven in English. */
export default {
  title: 'Where it goes wrong',
  goal: 'A model repeats what it has read. It does not know what is true.',
  steps: [
    { heading: 'What it takes for granted', words: ['Under “What a model takes for granted” try your own sentence, with professions, names or colours. If in its texts nurses were always “she”, it expects “she”. It has no opinion; it has counted.', 'Would you use such a model to sort letters of application?'] },
    { heading: 'It always has an answer', words: ['Ask for something that was not in what it has read. It does not say “I don’t know”: it writes what sounds like an answer. Look at the chances: is it at least unsure?'] },
    { heading: 'Languages it never saw', words: ['In a language it has hardly read, every token surprises it, and what it writes falls apart. Dark pieces are those it did not expect.'] },
    { heading: 'Your turn', words: ['You know the answer. Does the model?'], question: '“{text} …”', right: 'The model agrees, or was it luck?', wrong: 'Here is where the model has your answer.' },
  ],
};
