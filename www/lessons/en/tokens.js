/** Lesson one in English. */
export default {
  title: 'What a token is',
  goal: 'A language model reads neither letters nor words, but pieces from a list.',
  steps: [
    {
      heading: 'Text in pieces',
      words: [
        'Before a model can read a text, the text is cut into pieces. They are called tokens. Common words are one piece; the space before a word belongs to it.',
        'The number under each piece is its place in the model’s list. The model never sees the letters, only these numbers.',
      ],
    },
    {
      heading: 'Rare words fall apart',
      words: [
        'A word that was common in what the model has read is one token. A rare one is put together from several. Choose a piece to see how it was made: two neighbours that often stood side by side became one, again and again.',
      ],
      formula: 'Byte-pair encoding: begin with single bytes; find the pair of neighbours that occurs most often; make it a token; repeat, some thousand times.',
    },
    {
      heading: 'Other scripts, and emoji',
      words: [
        'In the computer every character is one to four bytes. A letter of English is one byte, a Chinese character three, most emoji four. A model that has read little Chinese has no token for a Chinese character, and reads it byte by byte.',
        'Type a name, a word in another language or an emoji into the text field and watch.',
      ],
    },
    { heading: 'Your turn', words: ['How many tokens is this? Guess first, then let the model count.'], question: '“{text}” — how many tokens?', right: 'Right.', wrong: 'Not quite.' },
  ],
};
