/** Lesson two in English. */
export default {
  title: 'Predicting the next word',
  goal: 'All a language model does is say how likely each token is to come next.',
  steps: [
    {
      heading: 'One question, thousands of answers',
      words: ['The model has read the text below. For every token of its list it now says how likely that one comes next. The longest bars are its best guesses.', 'That is all it does. A whole story is this question, asked again after each token.'],
      formula: 'P(next token = t | the text) for every t of the vocabulary; all of them together are 1.',
    },
    { heading: 'Sure and unsure', words: ['After some texts one answer towers above the rest; after others many are nearly equal. How unsure the model is can be measured: the entropy says how many equally likely answers it is like.', 'Change the last word and watch the bars.'], formula: 'H = −Σ p · log₂ p, in bits; 2^H equally likely answers are just as uncertain.' },
    { heading: 'Guess the word', words: ['What would you write next? See where your word stands in the model’s list.'], question: '“{text} …” — which word comes next?', right: 'The model’s first choice as well.', wrong: 'The model has it elsewhere on its list.' },
    { heading: 'Where is it less sure?', words: ['Think about which of these leaves more open.'], question: 'After which text is the model less sure what comes next?', right: 'Right.', wrong: 'No: there the model is surer.' },
  ],
};
