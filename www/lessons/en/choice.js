/** Lesson three in English. */
export default {
  title: 'Temperature and choice',
  goal: 'From chances to one token: the likeliest, or a draw.',
  steps: [
    { heading: 'Always the likeliest', words: ['Press “The likeliest”. The model then always takes the longest bar. The same text always goes on the same way, and long texts soon go round in circles.'] },
    {
      heading: 'By chance, but not any chance',
      words: ['Press “By chance” and draw a few times. Likely tokens come often, unlikely ones seldom.', 'Move the temperature: low makes the likely likelier, high makes all alike. top_k keeps so many of the best; top_p keeps the best until they make up that share.'],
      formula: 'p = softmax(logit / temperature)',
    },
    { heading: 'Cold and hot, side by side', words: ['Set a low temperature on the left and a high one on the right, then let both go on with the same seed. Cold is sensible and dull, hot is lively and soon senseless.'] },
    { heading: 'Your turn', words: ['Which of these does the model find likeliest?'], question: '“{text} …”', right: 'Right.', wrong: 'The model sees it differently.' },
  ],
};
